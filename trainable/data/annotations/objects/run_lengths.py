"""Masks as run lengths in COCO's compressed form, read with checks: pycocotools trusts what it is given."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco_mask

from trainable.data.annotations.objects.written_values import ObjectError, number

DAMAGED_RUNS = "have a damaged run-length mask"
_MOST_RUN_BITS = 35
"""More than a run within the largest picture that is read takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLengthMask:
    """A mask in COCO's compressed form. Its repr, with the name of the class, is part of fingerprints."""

    size: tuple[int, int]
    """Height and width of its picture in pixels."""
    counts: bytes

    def decoded(self) -> np.ndarray:
        """bool, shape `size`.

        Raises:
            ObjectError: the runs are damaged, or do not fill the picture.
        """
        # Not by pycocotools, which takes what a truncated mask lacks from whatever lies in memory.
        runs = _unpack_runs(self.counts)
        _check_runs(runs, *self.size)
        return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(self.size[::-1]).T


def compressed(counts: object, height: int, width: int) -> bytes:
    """COCO's counts in their compressed form, which they may have already.

    Raises:
        ObjectError: they are no list, or do not fill the picture.
    """
    if isinstance(counts, str):
        return counts.encode()
    if not isinstance(counts, Sequence):
        raise ObjectError(DAMAGED_RUNS, f"its counts are {type(counts).__name__}")
    runs = [int(number(run)) for run in counts]
    _check_runs(runs, height, width)
    return coco_mask.frPyObjects({"size": [height, width], "counts": runs}, height, width)["counts"]


def _unpack_runs(counts: bytes) -> list[int]:
    """The runs of ground and object in turn, down the columns, that COCO's compressed form holds.

    Five bits a character, the lowest first, another bit says that more follow; from the fourth run on it is the
    difference to the last but one.
    """
    runs: list[int] = []
    run = num_bits = 0
    for character in counts:
        bits = character - 48
        if not 0 <= bits < 64 or num_bits >= _MOST_RUN_BITS:
            raise ObjectError(DAMAGED_RUNS, f"what follows run {len(runs)} is no run-length")
        run |= (bits & 31) << num_bits
        num_bits += 5
        if not bits & 32:
            run -= (bits & 16) << num_bits - 4
            runs.append(run + runs[-2] if len(runs) > 2 else run)
            run = num_bits = 0
    if num_bits:
        raise ObjectError(DAMAGED_RUNS, f"it ends within run {len(runs) + 1}")
    return runs


def _check_runs(runs: Sequence[int], height: int, width: int) -> None:
    if min(runs, default=-1) < 0 or sum(runs) != height * width:
        raise ObjectError(DAMAGED_RUNS, f"runs of {sum(runs)} pixels for a picture of {width}x{height}")
