"""Out of memory: the same update from smaller micro-batches.

What: half the micro-batch with twice the accumulation gives the same effective batch and number of updates, and the
same training up to rounding and to what depends on the micro-batch: batch normalisation, contrastive negatives,
mixing partners, balance losses, the random crops of `data/image_mask/batches.py`, which are drawn batch by batch, and
below micro-batches of 3 the company of an epoch's last image (`data/io/epoch_batches.py`).
The process remembers a micro-batch that fits for later trainings that take the same memory per image.
Source: own; the arithmetic is that of gradient accumulation.
Cost: a copy of the training state on the CPU at the start of each epoch, to restore. Off: with a micro-batch of 1, or
of the smallest that the configuration allows, running out of memory ends the training.

torch reports a shortage in several ways: the CUDA allocator by its own error; CUDA's libraries, the CPU allocator and
that of an Apple GPU by a plain RuntimeError; NumPy, which makes the batches, by a MemoryError. `shortages_named`
converts them all to `MemoryShortage`, with its numbers.
Memory in use is that of a CUDA GPU, or of the whole process on a CPU and on an Apple GPU, which share one memory.
"""

import logging
import os
import re
import resource
import sys
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import psutil
import torch
from torch import Tensor

from trainable.config import TrialConfig
from trainable.techniques.parallel.data_parallel import taken_of
from trainable.techniques.parallel.tensor_tree import copied

logger = logging.getLogger(__name__)

_SIGNS = ("CPUAllocator", "CUDA error: out of memory", "ALLOC_FAILED", "ALLOCATION_FAILED", "MPS backend out of memory")
"""Messages of a plain RuntimeError that is about memory; the two in the middle are those of cuBLAS, cuDNN and cuFFT."""
_UNITS = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "KB": 2**10, "MB": 2**20, "GB": 2**30}
# NumPy writes 512 TiB as 512. TiB.
_SIZE = rf"(\d+(?:\.\d*)?) ({'|'.join(_UNITS)})"


def forget_peak(device: torch.device) -> None:
    """Resets the peak of a GPU; the peak of a process cannot be reset."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def empty_cache(device: torch.device) -> None:
    """Returns memory that torch has cached to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    if device.type == "mps":
        torch.mps.empty_cache()


def peak_gib(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def device_gib(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory / 2**30
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


class MemoryShortage(torch.OutOfMemoryError):
    """An allocation failed; the numbers are in bytes, None if unknown."""

    def __init__(self, message: str, *, asked_bytes: int | None, available_bytes: int | None) -> None:
        super().__init__(message)
        self.message, self.asked_bytes, self.available_bytes = message, asked_bytes, available_bytes
        known = {"asked_bytes": asked_bytes, "available_bytes": available_bytes}
        self.numbers = {name: value for name, value in known.items() if value is not None}
        """The known ones, by name."""

    def __reduce__(self) -> tuple:
        """Makes the error picklable, to raise it in another process."""
        numbers = {"asked_bytes": self.asked_bytes, "available_bytes": self.available_bytes}
        return partial(type(self), self.message, **numbers), ()


def as_shortage(error: RuntimeError | MemoryError) -> MemoryShortage | None:
    """Converts an out-of-memory error to a MemoryShortage; None for another error."""
    if isinstance(error, MemoryShortage):
        return error
    message, is_of_host = str(error) or "out of memory", isinstance(error, MemoryError)
    if not isinstance(error, torch.OutOfMemoryError | MemoryError) and not any(sign in message for sign in _SIGNS):
        return None
    asked = _size(rf"(?:Tried|tried|Unable) to allocate {_SIZE}", message)
    available = _size(rf"{_SIZE} (?:is )?free", message)
    if available is None:
        # A GPU is asked only about its own shortage: a training on the CPU may not be able to.
        if is_of_host or "CPUAllocator" in message:
            available = psutil.virtual_memory().available
        elif torch.cuda.is_available():
            available = torch.cuda.mem_get_info()[0]
    return MemoryShortage(message.splitlines()[0], asked_bytes=asked, available_bytes=available)


@contextmanager
def shortages_named() -> Iterator[None]:
    """Converts out-of-memory errors inside this context to MemoryShortage."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        shortage = as_shortage(error)
        try:
            if shortage is None or shortage is error:
                raise
            raise shortage from error
        finally:
            # The traceback holds this frame: with the error in it, all tensors of the failed step would stay.
            del shortage


def _size(pattern: str, message: str) -> int | None:
    found = re.search(pattern, message)
    return None if found is None else round(float(found[1]) * _UNITS[found[2]])


def halve_micro_batch(batch_size: int, accumulation_steps: int) -> tuple[int, int]:
    """The largest micro-batch of at most half the size that gives the same effective batch, and its accumulation.

    Raises:
        ValueError: the micro-batch is 1 already.
    """
    if batch_size == 1:
        raise ValueError("The micro-batch is 1; it can't be halved.")
    smaller = next(size for size in range(batch_size // 2, 0, -1) if batch_size % size == 0)
    return smaller, accumulation_steps * (batch_size // smaller)


def can_be_halved(batch_size: int, least: int) -> bool:
    """Whether half the micro-batch still has the images that the loss needs."""
    return batch_size > 1 and halve_micro_batch(batch_size, 1)[0] >= least


@dataclass(frozen=True)
class MicroBatchCaps:
    """Micro-batch sizes that are known to fit; one instance per process."""

    largest: dict[Hashable, int] = field(default_factory=dict)
    """The largest micro-batch by what decides on the memory that an image takes."""


class MicroBatches:
    """Size of the micro-batches of one training: as configured, or halved until they fit.

    Args:
        caps: sizes that are known to fit from earlier trainings of this process.
        device: where they must fit; None for the ranks of a trial, which have a device each.
    """

    def __init__(self, config: TrialConfig, caps: MicroBatchCaps, device: torch.device | None = None) -> None:
        self._configured, self._caps = config, caps
        self._key = (*(getattr(config, name) for name in config.memory_fields), device)
        self.size, self.accumulation_steps = config.batch_size, config.accumulation_steps
        """Images of a micro-batch, at most the configured ones, and micro-batches per update: as many images in all."""
        while self.size > caps.largest.get(self._key, self.size):
            self.size, self.accumulation_steps = halve_micro_batch(self.size, self.accumulation_steps)
        self.evaluated = self.size
        """Images of a batch of the validation or the test at most, once memory ran short."""

    @property
    def config(self) -> TrialConfig:
        """The configuration with the sizes that are in use."""
        return replace(self._configured, batch_size=self.size, accumulation_steps=self.accumulation_steps)

    def halve(self, *, epoch: int) -> bool:
        """Halves the micro-batches after a shortage in this epoch; False if they can't be smaller."""
        if not can_be_halved(self.size, self._configured.min_batch_size):
            return False
        former = self.size
        self.size, self.accumulation_steps = halve_micro_batch(former, self.accumulation_steps)
        self.evaluated = min(self.evaluated, self.size)
        self._caps.largest[self._key] = self.size
        logger.warning(
            "out of memory with micro-batches of %d: restarting epoch %d with %d, accumulating %d per update",
            former,
            epoch,
            self.size,
            self.accumulation_steps,
        )
        return True

    def state_dict(self) -> dict[str, Any]:
        """The size if it is smaller than configured, so that a resumed training keeps its micro-batches."""
        return {"halved_to": self.size if self.size < self._configured.batch_size else None}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the size that fitted then, if it is smaller; does not change the caps of the process."""
        if state["halved_to"] is not None:
            while self.size > state["halved_to"]:
                self.size, self.accumulation_steps = halve_micro_batch(self.size, self.accumulation_steps)
            self.evaluated = min(self.evaluated, self.size)

    @property
    def evaluation_batch_size(self) -> int | None:
        """Size that batches of a validation or test are split into; None: they are used as the task makes them."""
        return self.evaluated if self.evaluated < self._configured.batch_size else None

    def halve_evaluated(self) -> bool:
        """Halves the evaluation batches after a shortage in a validation or test; False if they can't be smaller."""
        if not can_be_halved(self.evaluated, self._configured.min_batch_size):
            return False
        self.evaluated, _ = halve_micro_batch(self.evaluated, 1)
        # The training of the epoch is kept.
        logger.warning("out of memory in an evaluation: repeating it in batches of %d", self.evaluated)
        return True


@dataclass(frozen=True, slots=True)
class DividedBatches:
    """Divides batches (images, targets) into parts of at most `batch_size` samples."""

    batches: Iterable[tuple[Tensor, Any]]
    batch_size: int

    def __iter__(self) -> Iterator[tuple[Tensor, Any]]:
        for batch in self.batches:
            for start in range(0, len(batch[0]), self.batch_size):
                yield taken_of(batch, slice(start, start + self.batch_size))


def copy_to_cpu(state: dict[str, Any]) -> dict[str, Any]:
    """Copies a state to the CPU, where further training does not change it."""
    return copied(state, "cpu")
