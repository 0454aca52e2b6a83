"""Out of memory: the same update from smaller micro-batches.

What: half the micro-batch and twice the accumulation give the same effective batch, the same number of updates and, up
to rounding and what a batch enters otherwise than as a mean, the same training. What once fitted is remembered in the
process for later trainings of the same network on the same images.
Source: own; the arithmetic is that of `accumulation`.
Cost: a copy of the training's progress in memory at the beginning of each epoch, to fall back on. Off: a micro-batch of
1, or of the least that a configuration allows, can't get smaller, and running out of memory then ends the training.
"""

import io
import logging
from collections.abc import Hashable

import torch

from trainable.config import TrialConfig

logger = logging.getLogger(__name__)


def halved(batch_size: int, accumulation_steps: int) -> tuple[int, int]:
    """The largest micro-batch of at most half the size that gives the same effective batch, and its accumulation.

    Raises:
        ValueError: the micro-batch is 1 already.
    """
    if batch_size == 1:
        raise ValueError("The micro-batch is 1; it can't be halved.")
    smaller = next(size for size in range(batch_size // 2, 0, -1) if batch_size % size == 0)
    return smaller, accumulation_steps * (batch_size // smaller)


def can_be_halved(batch_size: int, least: int) -> bool:
    """Whether half the micro-batch still has the images that a loss needs side by side."""
    return batch_size > 1 and halved(batch_size, 1)[0] >= least


def size_of(config: TrialConfig) -> tuple[object, ...]:
    """What decides how much memory an image takes, on one kind of device."""
    return config.workload, config.model, config.data, config.precision


def log_micro_batch_halved(former: int, batch_size: int, accumulation_steps: int, *, epoch: int) -> None:
    logger.warning(
        "out of memory with micro-batches of %d: epoch %d begins again with %d, %d of them an update",
        former,
        epoch,
        batch_size,
        accumulation_steps,
    )


class FittingBatches:
    """The largest micro-batch known to fit, by network and images; one for the process."""

    def __init__(self) -> None:
        self._limits: dict[Hashable, int] = {}

    def limit(self, key: Hashable, batch_size: int) -> None:
        self._limits[key] = batch_size

    def fitted(self, key: Hashable, batch_size: int, accumulation_steps: int) -> tuple[int, int]:
        """What is asked for, halved until it is not above what fits."""
        while batch_size > self._limits.get(key, batch_size):
            batch_size, accumulation_steps = halved(batch_size, accumulation_steps)
        return batch_size, accumulation_steps


def packed(progress: dict[str, object]) -> bytes:
    """A copy off the device."""
    buffer = io.BytesIO()
    torch.save(progress, buffer)
    return buffer.getvalue()


def unpacked(progress: bytes, device: torch.device) -> dict[str, object]:
    return torch.load(io.BytesIO(progress), map_location=device, weights_only=True)
