"""Decoded pictures that wait on disk until it is known which split each goes to, so that memory does not hold them."""

import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from trainable.data.io.files import in_parallel
from trainable.data.io.findings import Finding
from trainable.data.splitting.lookalikes import signature

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Stored:
    """Where an array lies in its file."""

    first_byte: int
    shape: tuple[int, ...]


@dataclass(eq=False)
class ArrayFile:
    """Arrays of bytes one after another in an open file. Threads may append and read at once."""

    descriptor: int
    num_bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def append(self, array: np.ndarray) -> Stored:
        """Keeps an array of uint8."""
        with self._lock:
            stored = Stored(self.num_bytes, array.shape)
            self.num_bytes += array.nbytes
        os.pwrite(self.descriptor, np.ascontiguousarray(array, np.uint8).data, stored.first_byte)
        return stored

    def read(self, stored: Stored) -> np.ndarray:
        """uint8, of the shape that was appended."""
        num_bytes = int(np.prod(stored.shape))
        data = os.pread(self.descriptor, num_bytes, stored.first_byte)
        return np.frombuffer(data, np.uint8).reshape(stored.shape)


@contextmanager
def array_file(folder: Path) -> Iterator[ArrayFile]:
    """A file without a name in this folder, which is gone at the end."""
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        yield ArrayFile(file.fileno())


def decode_pictures(
    decode: Callable[[Item], np.ndarray | Finding],
    items: Sequence[Item],
    tick: Callable[[], None],
    file: ArrayFile,
    *,
    num_pixels: Callable[[Item], int],
) -> tuple[list[Stored | Finding], np.ndarray]:
    """Decodes each picture once: where it lies in the file, or what is wrong with it, and how all look.

    Args:
        decode: gives uint8 (H, W, 3), or what is wrong.
        num_pixels: of a picture before it is shrunk.

    Returns:
        The looks are signatures, shape (N, 4), zeros for a picture that could not be read.
    """
    looks = np.zeros((len(items), 4), np.uint64)

    def keep(row: int) -> Stored | Finding:
        picture = decode(items[row])
        if isinstance(picture, Finding):
            return picture
        looks[row] = signature(picture)
        return file.append(picture)

    rows = in_parallel(keep, range(len(items)), tick, num_pixels=lambda row: num_pixels(items[row]))
    return list(rows), looks
