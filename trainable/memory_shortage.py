"""Running out of memory, told with its numbers: what was asked for, and what there was.

torch says it in several ways: the CUDA allocator by an error of its own, CUDA's libraries and the allocator of the CPU
by a plain RuntimeError. Here all become one error, which is what every retry and every ending looks for.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import psutil
import torch

_SIGNS = ("CPUAllocator", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""What a plain RuntimeError says when it is about memory."""
_UNITS = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_SIZE = rf"(\d+(?:\.\d+)?) ({'|'.join(_UNITS)})"


class MemoryShortage(torch.OutOfMemoryError):
    """An allocation failed; the numbers are in bytes, None where nobody says."""

    def __init__(self, message: str, *, asked_bytes: int | None, available_bytes: int | None) -> None:
        super().__init__(message)
        self.message, self.asked_bytes, self.available_bytes = message, asked_bytes, available_bytes

    def __reduce__(self) -> tuple:
        """Another process may be told."""
        numbers = {"asked_bytes": self.asked_bytes, "available_bytes": self.available_bytes}
        return partial(type(self), self.message, **numbers), ()

    @property
    def numbers(self) -> dict[str, int]:
        """Those that are known."""
        known = {"asked_bytes": self.asked_bytes, "available_bytes": self.available_bytes}
        return {name: value for name, value in known.items() if value is not None}


def as_shortage(error: RuntimeError) -> MemoryShortage | None:
    """The same error with its numbers; None when it is not about memory."""
    if isinstance(error, MemoryShortage):
        return error
    message = str(error)
    if not isinstance(error, torch.OutOfMemoryError) and not any(sign in message for sign in _SIGNS):
        return None
    asked = _size(rf"(?:Tried|tried) to allocate {_SIZE}", message)
    available = _size(rf"{_SIZE} (?:is )?free", message)
    if available is None:
        available = psutil.virtual_memory().available if "CPUAllocator" in message else _free_of_gpu()
    return MemoryShortage(message.splitlines()[0], asked_bytes=asked, available_bytes=available)


@contextmanager
def shortages_named() -> Iterator[None]:
    """What runs out of memory inside this context raises MemoryShortage."""
    try:
        yield
    except RuntimeError as error:
        shortage = as_shortage(error)
        if shortage is None or shortage is error:
            raise
        raise shortage from error


def _size(pattern: str, message: str) -> int | None:
    found = re.search(pattern, message)
    return None if found is None else round(float(found[1]) * _UNITS[found[2]])


def _free_of_gpu() -> int | None:
    return torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else None
