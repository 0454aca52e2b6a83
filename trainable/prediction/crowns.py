"""The tree crowns of an aerial picture of any size, each with its kind, score, box and mask."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trainable.data.io.decoding import shrink_image
from trainable.metrics.crowns import SURE_SCORE
from trainable.prediction.base import Prediction, Predictor, Progress, Row
from trainable.prediction.coco import coco_images, coco_result, write_json
from trainable.prediction.crown_merging import FoundCrown, merge_crowns
from trainable.prediction.crown_tiles import TileCut, predict_tiles
from trainable.prediction.drawing import draw_boxes, draw_captions, draw_masks
from trainable.supervision.base import Forward

RESULTS, IMAGES = "crowns.json", "crowns_images.json"
_MAX_SCORES = 60
"""More crowns than these are drawn without their scores, which would hide them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrownsPrediction(Prediction):
    """All crowns with a score of at least 0.05, the best first; those from SURE_SCORE on are counted and drawn."""

    folder: ClassVar = "crowns"
    ending: ClassVar = ".json"

    size: tuple[int, int]
    """Height and width of the picture."""
    crowns: tuple[FoundCrown, ...]
    kinds: tuple[str, ...]
    """Names of the labels 1, 2, ..."""
    num_trees: float
    """Number of trees by the density map."""
    canopy_share: float
    """Share of the picture's pixels in crowns, by the semantic map."""

    @property
    def sure(self) -> list[FoundCrown]:
        return [crown for crown in self.crowns if crown.score >= SURE_SCORE]

    def in_words(self) -> str:
        counts = ", ".join(f"{count} {kind}" for kind, count in self._counts().items())
        counts += unsure([crown.score for crown in self.crowns])
        return f"crowns: {counts}; {self.num_trees:.1f} trees by density, {100 * self.canopy_share:.1f} % canopy"

    def row(self) -> dict[str, str | int | float]:
        height, width = self.size
        row: dict[str, str | int | float] = {
            "height_px": height,
            "width_px": width,
            "num_crowns": len(self.sure),
            "trees_by_density": round(self.num_trees, 3),
            "canopy_share": round(self.canopy_share, 6),
        }
        # A kind may be called `crowns`.
        own = {f"num_{kind}": count for kind, count in self._counts().items()}
        return row | {f"kind/{column}" if column in row else column: count for column, count in own.items()}

    def write(self, path: Path) -> None:
        """The picture's entries of `crowns.json`, without an image id."""
        write_json(path, [coco_result(crown, self.size) for crown in self.crowns])

    def draw(self, picture: Tensor) -> Tensor:
        """Each kind in its colour, with its count above; a pixel under several crowns shows the best one."""
        if not self.sure:
            return picture
        labels = np.zeros(self.size, np.int64)
        for crown in reversed(self.sure):
            left, top, right, bottom = crown.extent
            labels[top:bottom, left:right][crown.mask] = crown.label
        seen = np.unique(labels[labels > 0])
        masks = torch.from_numpy(labels == seen[:, None, None])
        boxes = np.array([crown.box for crown in self.sure]) * (picture.shape[1] // self.size[0])
        scores = [f"{crown.score:.2f}" if len(self.sure) <= _MAX_SCORES else "" for crown in self.sure]
        drawn = draw_masks(picture, masks, [label - 1 for label in seen.tolist()])
        drawn = draw_boxes(drawn, boxes, scores, [crown.label - 1 for crown in self.sure])
        counts = {number: f"{kind} {count}" for number, (kind, count) in enumerate(self._counts().items()) if count}
        return draw_captions(drawn, counts)

    def _counts(self) -> dict[str, int]:
        return {kind: sum(crown.label == label for crown in self.sure) for label, kind in enumerate(self.kinds, 1)}


def unsure(scores: Sequence[float]) -> str:
    """Suffix of a count of 0 crowns that mentions detections below SURE_SCORE; empty without, or with surer ones."""
    if not scores or max(scores) >= SURE_SCORE:
        return ""
    return f" ({len(scores)} below score {SURE_SCORE}, the best {max(scores):.2f})"


@dataclass(frozen=True, slots=True, kw_only=True)
class CrownsPredictor(Predictor):
    """Cuts a picture into tiles as a training folder is cut, and merges the detections of the tiles."""

    kind: ClassVar = CrownsPrediction

    kinds: tuple[str, ...]
    tile_px: int
    overlap_px: int
    batch_size: int
    """Tiles per forward pass."""

    def __call__(self, forward: Forward, picture: Image.Image, on_progress: Progress | None = None) -> CrownsPrediction:
        pixels = shrink_image(picture, picture.size[::-1])
        cut = TileCut(size=picture.size[::-1], tile_px=self.tile_px, overlap_px=self.overlap_px)
        tiles = list(predict_tiles(forward, pixels, cut, batch_size=self.batch_size, on_progress=on_progress))
        return CrownsPrediction(
            size=cut.size,
            crowns=tuple(merge_crowns([(tile.tile, crown) for tile in tiles for crown in tile.crowns])),
            kinds=self.kinds,
            num_trees=sum(tile.num_trees for tile in tiles),
            canopy_share=sum(tile.num_canopy_px for tile in tiles) / pixels[..., 0].size,
        )

    def gathered(self, rows: Sequence[Row], files: Sequence[Path]) -> dict[str, object]:
        """COCO results of all pictures, and their images and categories."""
        results = [
            {"image_id": number, **result}
            for number, file in enumerate(files, start=1)
            for result in json.loads(file.read_text(encoding="utf-8"))
        ]
        return {RESULTS: results, IMAGES: coco_images(rows, self.kinds)}
