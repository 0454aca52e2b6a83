"""What a task reads: images with masks, in memory-mapped arrays that all trials of a node share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

SPLIT_NAMES = ("train", "validation", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageMaskSet:
    """One split. The arrays are read-only maps: copy what you index (`images[rows]` does) before torch sees it."""

    images: np.ndarray
    """uint8, shape (N, H, W, 3)."""
    masks: np.ndarray
    """uint8 0 or 1, shape (N, H, W); nearest neighbours of the native masks."""
    names: tuple[str, ...]
    """Path of each image below the data folder, without its ending."""
    native_bits: np.ndarray
    """uint8, one bit per pixel: the masks at their files' own resolution, one after the other."""
    native_table: np.ndarray
    """int64, shape (N, 3): first byte in `native_bits`, height and width in pixels."""

    @classmethod
    def of_arrays(cls, images: np.ndarray, masks: np.ndarray, names: Sequence[str]) -> Self:
        """A set held in memory whose native masks are the given masks."""
        packed = [np.packbits(mask) for mask in masks]
        starts = np.cumsum([0, *map(len, packed)])[: len(packed)]
        table = np.array([(start, *masks.shape[1:]) for start in starts], dtype=np.int64).reshape(-1, 3)
        bits = np.concatenate([np.zeros(0, np.uint8), *packed])
        return cls(images=images, masks=masks, names=tuple(names), native_bits=bits, native_table=table)

    def __len__(self) -> int:
        return len(self.names)

    def native_mask(self, row: int) -> np.ndarray:
        """The mask at its file's own resolution: uint8 0 or 1, shape (h, w)."""
        start, height, width = (int(number) for number in self.native_table[row])
        num_pixels = height * width
        packed = self.native_bits[start : start + (num_pixels + 7) // 8]
        return np.unpackbits(packed, count=num_pixels).reshape(height, width)


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """Three disjoint sets; a search trains on the first, compares on the second and never opens the third."""

    train: Any
    """The task's own type of set, with a length."""
    validation: Any
    test: Any
    fingerprint: dict[str, str]
    """sha256 over names and contents: one for each of `train`, `validation`, `test`, and `all`."""
