"""Shapes as pixels of their picture; outlines as COCO's tools draw them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor

import numpy as np
from pycocotools import mask as coco_mask

from trainable.data.annotations.objects.run_lengths import RunLengthMask
from trainable.data.annotations.objects.shapes import ObjectShape, Points

_FAR_PX = 10_000
"""Corners further beyond the picture, which mistakes alone have, are drawn so far away: COCO walks along every edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnShape:
    """The pixels of a shape."""

    box: tuple[int, int, int, int]
    """Left, top, right and bottom, the last two beyond it."""
    mask: np.ndarray
    """bool, in the frame of the box."""


def rasterise(shape: ObjectShape, size: tuple[int, int]) -> DrawnShape | None:
    """The pixels whose centres lie in a shape; of a box without an outline, in the box. None when there are none."""
    left, top, right, bottom = box_on_picture(shape, size)
    if right <= left or bottom <= top:
        return None
    if shape.run_length is not None:
        mask = shape.run_length.decoded()[top:bottom, left:right].copy()
    elif shape.polygons:
        mask = fill_outlines(shape.polygons, (left, top), (bottom - top, right - left))
    else:
        mask = np.ones((bottom - top, right - left), bool)
    return DrawnShape(box=(left, top, right, bottom), mask=mask) if mask.any() else None


def box_on_picture(shape: ObjectShape, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the pixels of a shape, or of those around an outline; empty if there are none."""
    left, top, right, bottom = shape.box
    height, width = size
    if not shape.is_outlined:
        # The pixels whose centres lie inside, as of an outline. All that it touches would be too many: a fraction of
        # six decimals puts a side .001 px beyond a pixel, and the whole next row would be the object's.
        left, top, right, bottom = (floor(side + 0.5) for side in shape.box)
    return max(0, floor(left)), max(0, floor(top)), min(width, ceil(right)), min(height, ceil(bottom))


def fill_outlines(outlines: Sequence[Points], corner: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """bool, shape `size`, from this left and top on: what lies inside any of the outlines."""
    beyond = (size[1] + _FAR_PX, size[0] + _FAR_PX)
    parts = [np.clip(np.subtract(outline, corner), -_FAR_PX, beyond).ravel().tolist() for outline in outlines]
    drawn = coco_mask.merge(coco_mask.frPyObjects(parts, *size))
    return RunLengthMask(size=size, counts=drawn["counts"]).decoded()
