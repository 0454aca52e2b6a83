"""Crowns in COCO's result format, as pycocotools and annotation tools read it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from trainable.prediction.base import Row
from trainable.prediction.crown_merging import FoundCrown


def coco_result(crown: FoundCrown, size: tuple[int, int]) -> dict[str, Any]:
    """One entry of a list of results, without its image's id; coordinates to a thousandth of a pixel.

    Args:
        size: height and width of the picture.
    """
    left, top, right, bottom = crown.box
    return {
        "category_id": crown.label,
        "bbox": [round(side, 3) for side in (left, top, right - left, bottom - top)],
        "score": round(crown.score, 6),
        "segmentation": run_lengths(crown, size),
    }


def run_lengths(crown: FoundCrown, size: tuple[int, int]) -> dict[str, Any]:
    """COCO's compressed run-length mask over the whole picture, without ever holding that mask."""
    height, width = size
    columns, rows = np.nonzero(crown.mask.T)
    # COCO counts down the columns.
    places = (columns + crown.extent[0]) * height + rows + crown.extent[1]
    breaks = np.flatnonzero(np.diff(places) > 1)
    starts, ends = places[np.r_[0, breaks + 1]], places[np.r_[breaks, -1]] + 1
    edges = np.stack([starts, ends], axis=1).ravel()
    # A mask that reaches the last pixel has no background after it.
    counts = np.diff(np.r_[0, edges, [] if edges[-1] == height * width else height * width].astype(np.int64))
    packed = coco_mask.frPyObjects({"size": [height, width], "counts": counts.tolist()}, height, width)
    return {"size": [height, width], "counts": packed["counts"].decode("ascii")}


def coco_images(rows: Sequence[Row], kinds: Sequence[str]) -> dict[str, Any]:
    """The data set that results belong to: images in the order of the table, categories, no annotation."""
    images = [
        {"id": number, "file_name": row["picture"], "height": int(row["height_px"]), "width": int(row["width_px"])}
        for number, row in enumerate(rows, start=1)
    ]
    categories = [{"id": label, "name": name} for label, name in enumerate(kinds, start=1)]
    return {"info": {}, "images": images, "categories": categories, "annotations": []}


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")
