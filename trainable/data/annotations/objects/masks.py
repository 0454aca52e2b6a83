"""Objects that are given by their pixels, as run lengths or as an array; never larger than a picture."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from trainable.data.annotations.objects.run_lengths import DAMAGED_RUNS, RunLengthMask, compressed
from trainable.data.annotations.objects.shapes import ObjectShape
from trainable.data.annotations.objects.written_values import ObjectError, number
from trainable.data.io.decoding import MAX_PIXELS


def no_pixels(size: tuple[int, int]) -> np.ndarray:
    """bool, shape (height, width), all False; takes no memory before it is written to.

    Raises:
        ObjectError: the size that a file states is beyond any picture that is read.
    """
    if size[0] * size[1] > MAX_PIXELS:
        raise ObjectError("have a mask larger than any picture that is read", f"{size[1]}x{size[0]} pixels")
    return np.zeros(size, bool)


def object_from_mask(label: str, pixels: np.ndarray, *, place: str) -> ObjectShape:
    """An object given by its pixels.

    Args:
        pixels: bool, shape (height, width) of its picture.
    """
    encoded = coco_mask.encode(np.asfortranarray(pixels, np.uint8))
    return object_from_run_lengths(label, {"size": pixels.shape, "counts": encoded["counts"].decode()}, place=place)


def object_from_run_lengths(label: str, mask: Mapping[str, Any], *, place: str) -> ObjectShape:
    """An object given as COCO's run-length mask, compressed or not.

    Raises:
        ObjectError: it is damaged or empty.
    """
    try:
        height, width = (int(number(side)) for side in mask["size"])
        no_pixels((height, width))
        found = RunLengthMask(size=(height, width), counts=compressed(mask["counts"], height, width))
        pixels = found.decoded()
    except (KeyError, TypeError, ValueError, OverflowError, MemoryError) as error:
        detail = error.detail if isinstance(error, ObjectError) else str(error) or type(error).__name__
        raise ObjectError(DAMAGED_RUNS, detail) from error
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if not len(rows):
        raise ObjectError("have a run-length mask of no pixel", f"{width}x{height}")
    box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
    return ObjectShape(label=label, box=box, run_length=found, place=place)
