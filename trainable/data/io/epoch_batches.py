"""The batches of one epoch after another, whatever they hold: shuffled to train on, in order to evaluate on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


class EpochBatches:
    """Shuffled micro-batches; call `set_epoch` before each epoch. The last two may be smaller: see `micro_batches`.

    An order depends on (seed, epoch) alone, so that a resumed run sees what an uninterrupted one would have seen.

    Args:
        num_samples: of an epoch.
        batch_size: 1 or more.
        max_batches: most batches of an epoch, 1 or more; None is all.
    """

    def __init__(self, num_samples: int, *, batch_size: int, seed: int, max_batches: int | None = None) -> None:
        for name, value in (("batch_size", batch_size), ("max_batches", max_batches)):
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; it must be 1 or more.")
        self.batch_size = batch_size
        self._seed, self._epoch = seed, 0
        num_batches = -(-num_samples // batch_size)
        self._num_batches = num_batches if max_batches is None else min(num_batches, max_batches)

    def __len__(self) -> int:
        return self._num_batches

    def set_epoch(self, epoch: int) -> None:
        """Chooses order, crops and turns of epoch `epoch`."""
        self._epoch = epoch

    def _cut(self, order: np.ndarray) -> list[np.ndarray]:
        """The samples of each micro-batch of an epoch, from all samples in its order."""
        return micro_batches(order[: self._num_batches * self.batch_size], self.batch_size)[: self._num_batches]


def micro_batches(order: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Whole batches and a rest: of 33 samples in batches of 16, not 16, 16 and 1 but 16, 15 and 2.

    Batch normalisation of pooled features can't train on a sample alone, so the last two batches share where one would
    be left. Batches of two have none to give: the epoch's first sample then keeps the last one company.
    """
    starts = np.arange(batch_size, len(order), batch_size)
    if batch_size > 1 and len(order) > 1 and len(order) % batch_size == 1:
        if batch_size == 2:
            order = np.append(order, order[0])
        else:
            starts[-1] -= 1
    return np.split(order, starts)


@dataclass(eq=False)
class OrderedBatches:
    """The batches of a split in order, the same in every epoch."""

    groups: Sequence[Any]
    """Items of each batch, such as rows."""
    batch_of: Callable[[Any], tuple[Any, Any]]
    """From a group to images and targets."""

    def __len__(self) -> int:
        return len(self.groups)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return map(self.batch_of, self.groups)
