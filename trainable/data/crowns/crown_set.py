"""Tiles seen from above with what is annotated of them: crowns, semantic classes, or both, in memory-mapped arrays.

Crowns may overlap, so each keeps a mask of its own: one bit a pixel, within its box. A cache may hold millions.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from trainable.data.io.image_cache import fingerprint
from trainable.data.io.splits import SPLIT_NAMES, Splits

VOID = 255
"""Label of pixels without a semantic class."""
_INDEX = "index.json"
_IMAGES, _SEMANTIC, _MASKS, _CROWNS = "images.u8", "semantic.u8", "crown_masks.bits", "crowns.i64"
_COLUMNS = ("label", "left", "top", "right", "bottom", "first_byte")


@dataclass(frozen=True, slots=True, kw_only=True)
class Crown:
    """One crown on a tile."""

    label: int
    """Kind, from 1."""
    box: tuple[int, int, int, int]
    """Left, top, right and bottom in pixels, the last two beyond the crown."""
    mask: np.ndarray
    """bool, in the frame of the box."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One tile, on its way into the cache."""

    name: str
    image: np.ndarray
    """uint8, shape (S, S, 3)."""
    crowns: tuple[Crown, ...] | None
    """None: not annotated; empty: there are none."""
    semantic: np.ndarray | None
    """uint8 classes with VOID, shape (S, S); None: not annotated."""

    def shown(self, kinds: Sequence[str], semantic_classes: Sequence[str]) -> set[str]:
        """Names of the crowns' kinds and of the classes on it."""
        counts = np.zeros(0, np.int64) if self.semantic is None else np.bincount(self.semantic.ravel())[:VOID]
        crowns = {f"{kinds[crown.label - 1]} crowns" for crown in self.crowns or ()}
        return crowns | {semantic_classes[label] for label in np.flatnonzero(counts).tolist()}

    @property
    def digest(self) -> str:
        """sha256 of its pixels and annotations, for the fingerprint."""
        digest = hashlib.sha256(np.ascontiguousarray(self.image).data)
        digest.update(b"no classes" if self.semantic is None else np.ascontiguousarray(self.semantic).data)
        for crown in self.crowns or ():
            digest.update(repr((crown.label, crown.box)).encode() + np.packbits(crown.mask).tobytes())
        digest.update(b"no crowns" if self.crowns is None else b"")
        return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class CrownSet:
    """One split; the arrays are read-only maps."""

    images: np.ndarray
    """uint8, shape (N, S, S, 3)."""
    semantic: np.ndarray
    """uint8, shape (N, S, S); VOID where nothing is known."""
    names: tuple[str, ...]
    has_crowns: np.ndarray
    """bool, shape (N,): whether crowns are annotated."""
    crowns: np.ndarray
    """int64, a row for each crown: label, left, top, right, bottom, first byte of its mask."""
    first_crown: np.ndarray
    """int64, shape (N + 1,): the crowns of tile n are rows first_crown[n] to first_crown[n + 1]."""
    mask_bits: np.ndarray
    kinds: tuple[str, ...]
    """Names of the crowns' labels 1, 2, ...; of the whole data set."""
    semantic_classes: tuple[str, ...]
    """Names of the semantic labels 0, 1, ...; empty where none are annotated."""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def num_crowns(self) -> int:
        return int(self.first_crown[-1] - self.first_crown[0])

    def crowns_of(self, row: int) -> list[Crown]:
        """The crowns of a tile, unpacked."""
        unpacked = []
        rows = self.crowns[self.first_crown[row] : self.first_crown[row + 1]]
        for label, left, top, right, bottom, first in rows.tolist():
            height, width = bottom - top, right - left
            packed = self.mask_bits[first : first + (height * width + 7) // 8]
            mask = np.unpackbits(packed, count=height * width).reshape(height, width).astype(bool)
            unpacked.append(Crown(label=label, box=(left, top, right, bottom), mask=mask))
        return unpacked


def write_tiles(
    folder: Path, splits: Mapping[str, Iterable[Tile]], *, kinds: Iterable[str], semantic_classes: Iterable[str]
) -> int:
    """Streams the tiles of each split, all of one size, into an empty folder; returns how many there are."""
    assert set(splits) == set(SPLIT_NAMES), splits.keys()
    index: dict[str, Any] = {"names": {}, "tile_px": 0, "has_crowns": [], "num_crowns": []}
    written: dict[str, list[tuple[str, str]]] = {}
    with ExitStack() as stack:
        files = {
            name: stack.enter_context((folder / name).open("xb")) for name in (_IMAGES, _SEMANTIC, _MASKS, _CROWNS)
        }
        for split in SPLIT_NAMES:
            written[split] = []
            for tile in splits[split]:
                _write(tile, files)
                index["tile_px"] = len(tile.image)
                index["has_crowns"].append(tile.crowns is not None)
                index["num_crowns"].append(len(tile.crowns or ()))
                written[split].append((tile.name, tile.digest))
            index["names"][split] = [name for name, _ in written[split]]
    index |= {"kinds": list(kinds), "semantic_classes": list(semantic_classes), "fingerprint": fingerprint(written)}
    (folder / _INDEX).write_text(json.dumps(index), encoding="utf-8")
    return len(index["has_crowns"])


def open_tiles(folder: Path) -> Splits:
    """Maps what `write_tiles` wrote."""
    index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
    side, total = index["tile_px"], len(index["has_crowns"])
    images = np.memmap(folder / _IMAGES, np.uint8, "r", shape=(total, side, side, 3))
    semantic = np.memmap(folder / _SEMANTIC, np.uint8, "r", shape=(total, side, side))
    first_crown = np.cumsum([0, *index["num_crowns"]])
    shared: dict[str, Any] = {
        "mask_bits": _map_file(folder / _MASKS, np.uint8),
        "crowns": _map_file(folder / _CROWNS, np.int64).reshape(-1, len(_COLUMNS)),
        "kinds": tuple(index["kinds"]),
        "semantic_classes": tuple(index["semantic_classes"]),
    }
    sets, start = {}, 0
    for split in SPLIT_NAMES:
        names = tuple(index["names"][split])
        rows, start = slice(start, start + len(names)), start + len(names)
        sets[split] = CrownSet(
            images=images[rows],
            semantic=semantic[rows],
            names=names,
            has_crowns=np.array(index["has_crowns"][rows], bool),
            first_crown=first_crown[rows.start : rows.stop + 1],
            **shared,
        )
    train, validation, test = (sets[split] for split in SPLIT_NAMES)
    return Splits(train=train, validation=validation, test=test, fingerprint=index["fingerprint"])


def _write(tile: Tile, files: Mapping[str, BinaryIO]) -> None:
    files[_IMAGES].write(np.ascontiguousarray(tile.image, np.uint8).data)
    semantic = np.full(tile.image.shape[:2], VOID, np.uint8) if tile.semantic is None else tile.semantic
    files[_SEMANTIC].write(np.ascontiguousarray(semantic, np.uint8).data)
    for crown in tile.crowns or ():
        left, top, right, bottom = crown.box
        assert crown.mask.shape == (bottom - top, right - left), tile.name
        files[_CROWNS].write(np.array([crown.label, *crown.box, files[_MASKS].tell()], np.int64).data)
        files[_MASKS].write(np.packbits(crown.mask).data)


def _map_file(path: Path, kind: type) -> np.ndarray:
    """Maps a file; an empty one, which cannot be mapped, is an empty array."""
    return np.memmap(path, kind, "r") if path.stat().st_size else np.zeros(0, kind)
