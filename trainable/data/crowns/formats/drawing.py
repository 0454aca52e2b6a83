"""Outlines as pixels, as COCO's tools draw them."""

from collections.abc import Sequence

import numpy as np
from pycocotools import mask as coco_mask

from trainable.data.crowns.formats.shapes import Points, RunLengthMask

_FAR_PX = 10_000
"""Corners further beyond the picture, which mistakes alone have, are drawn so far away: COCO walks along every edge."""


def fill_outlines(outlines: Sequence[Points], corner: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """bool, shape `size`, from this left and top on: what lies inside any of the outlines."""
    beyond = (size[1] + _FAR_PX, size[0] + _FAR_PX)
    parts = [np.clip(np.subtract(outline, corner), -_FAR_PX, beyond).ravel().tolist() for outline in outlines]
    drawn = coco_mask.merge(coco_mask.frPyObjects(parts, *size))
    return RunLengthMask(size=size, counts=drawn["counts"]).decoded()
