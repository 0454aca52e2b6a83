"""Predicts an aerial picture tile by tile, cut as the training folder was."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from torch import Tensor

from trainable.data.crowns.batches import boxes_around
from trainable.data.crowns.tiling import fill_tile, tile_corners, tile_starts
from trainable.losses.crowns import CELL_PX, TREES_PER
from trainable.prediction.base import Progress, network_output
from trainable.prediction.crown_merging import Box, FoundCrown
from trainable.supervision.base import Forward
from trainable.supervision.crowns import as_crown_output, crown_scores


@dataclass(frozen=True, slots=True, kw_only=True)
class TileCut:
    """The grid of tiles that a picture is cut into."""

    size: tuple[int, int]
    """Height and width of the picture."""
    tile_px: int
    overlap_px: int

    @property
    def owned(self) -> list[tuple[slice, slice]]:
        """Rows and columns that each tile counts, in its own frame: up to the middle of the overlaps.

        Together they cover each pixel of the picture once.
        """
        spans = []
        for length_px in self.size:
            starts = tile_starts(length_px, self.tile_px, self.overlap_px)
            middles = [(before + self.tile_px + after) // 2 for before, after in pairwise(starts)]
            edges = pairwise([0, *middles, length_px])
            spans.append([slice(low - start, high - start) for start, (low, high) in zip(starts, edges, strict=True)])
        return list(product(*spans))


@dataclass(frozen=True, slots=True, kw_only=True)
class TilePrediction:
    """The prediction for one tile, in the frame of the picture."""

    tile: Box
    crowns: list[FoundCrown]
    num_trees: float
    """Number of trees by the density map, on the part that the tile owns."""
    num_canopy_px: int
    """Number of canopy pixels on the part that the tile owns."""


def predict_tiles(
    forward: Forward, pixels: np.ndarray, cut: TileCut, *, batch_size: int, on_progress: Progress | None = None
) -> Iterator[TilePrediction]:
    """Predicts all tiles of a picture (H, W, 3); a tile is black beyond the picture, as in training."""
    side, owned, corners = cut.tile_px, cut.owned, tile_corners(cut.size, cut.tile_px, cut.overlap_px)
    for start in range(0, len(corners), batch_size):
        some = slice(start, start + batch_size)
        tiles = [fill_tile(pixels[top : top + side, left : left + side], side, 0) for top, left in corners[some]]
        output = as_crown_output(network_output(forward, np.stack(tiles)))
        canopy = crown_scores(output).crown.cpu()
        trees = output.density.cpu().repeat_interleave(CELL_PX, 1).repeat_interleave(CELL_PX, 2) / TREES_PER
        for row, ((top, left), own) in enumerate(zip(corners[some], owned[some], strict=True)):
            yield TilePrediction(
                tile=(left, top, left + side, top + side),
                crowns=_crowns_on(output.detections[row], left, top, cut.size),
                num_trees=float(trees[row][own].sum()),
                num_canopy_px=int(canopy[row][own].sum()),
            )
        if on_progress is not None:
            on_progress(start + len(tiles), len(corners))


def _crowns_on(found: Mapping[str, Tensor], left: int, top: int, size: tuple[int, int]) -> list[FoundCrown]:
    """Detections of a tile at (left, top), without those that have no pixel on the picture."""
    masks = found["masks"][:, : size[0] - top, : size[1] - left].bool().cpu()
    extents = boxes_around(masks).long().tolist() if len(masks) else []
    shift = found["boxes"].new_tensor([left, top, left, top]).cpu()
    boxes = (found["boxes"].cpu().double() + shift).tolist()
    return [
        FoundCrown(
            label=int(label),
            score=float(score),
            box=tuple(box),
            extent=(first_x + left, first_y + top, end_x + left, end_y + top),
            mask=mask[first_y:end_y, first_x:end_x].numpy(),
        )
        for mask, (first_x, first_y, end_x, end_y), box, label, score in zip(
            masks, extents, boxes, found["labels"].tolist(), found["scores"].tolist(), strict=True
        )
        if mask.any()
    ]
