"""Images with masks: written to a folder of the cache, and memory-mapped from it by all trials of a node."""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from trainable.data.io.image_cache import fingerprint, pixel_digest
from trainable.data.io.splits import SPLIT_NAMES, Splits

_INDEX = "index.json"
_IMAGES, _MASKS, _NATIVE = "images.u8", "masks.u8", "native_masks.bits"


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
class Sample:
    """One image with its mask, on its way into the cache."""

    name: str
    image: np.ndarray
    """uint8, shape (H, W, 3)."""
    mask: np.ndarray
    """uint8 0 or 1, shape (H, W)."""
    native_mask: np.ndarray | None = None
    """uint8 0 or 1, shape (h, w), at the file's own resolution; None when `mask` is."""
    digest: str | None = None
    """sha256 of the source for the fingerprint; None takes that of the pixels."""


def write_splits(folder: Path, splits: Mapping[str, Iterable[Sample]], image_size: tuple[int, int]) -> None:
    """Streams the samples of `train`, `validation` and `test` into the folder; images of (height, width) pixels."""
    assert set(splits) == set(SPLIT_NAMES), splits.keys()
    table: list[tuple[int, int, int]] = []
    written: dict[str, list[tuple[str, str]]] = {split: [] for split in SPLIT_NAMES}
    with ExitStack() as stack:
        files = [stack.enter_context((folder / name).open("xb")) for name in (_IMAGES, _MASKS, _NATIVE)]
        for split in SPLIT_NAMES:
            for sample in splits[split]:
                assert sample.image.shape == (*image_size, 3), (sample.name, sample.image.shape)
                assert sample.mask.shape == image_size, (sample.name, sample.mask.shape)
                native = sample.mask if sample.native_mask is None else sample.native_mask
                table.append((files[2].tell(), *native.shape))
                written[split].append((sample.name, sample.digest or pixel_digest(sample.image, native)))
                for file, array in zip(files, (sample.image, sample.mask, np.packbits(native)), strict=True):
                    file.write(np.ascontiguousarray(array, np.uint8).data)
    index = {
        "image_size": image_size,
        "names": {split: [name for name, _ in pairs] for split, pairs in written.items()},
        "native_table": table,
        "fingerprint": fingerprint(written),
    }
    (folder / _INDEX).write_text(json.dumps(index), encoding="utf-8")


def open_splits(folder: Path) -> Splits:
    """Maps what `write_splits` wrote; nothing is read until it is indexed."""
    index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
    table = np.array(index["native_table"], dtype=np.int64).reshape(-1, 3)
    height, width = index["image_size"]
    images = np.memmap(folder / _IMAGES, np.uint8, "r", shape=(len(table), height, width, 3))
    masks = np.memmap(folder / _MASKS, np.uint8, "r", shape=(len(table), height, width))
    bits = np.memmap(folder / _NATIVE, np.uint8, "r")
    sets, start = {}, 0
    for split in SPLIT_NAMES:
        names = tuple(index["names"][split])
        rows = slice(start, start + len(names))
        start = rows.stop
        sets[split] = ImageMaskSet(
            images=images[rows], masks=masks[rows], names=names, native_bits=bits, native_table=table[rows]
        )
    train, validation, test = (sets[split] for split in SPLIT_NAMES)
    return Splits(train=train, validation=validation, test=test, fingerprint=index["fingerprint"])
