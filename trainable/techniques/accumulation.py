"""Gradient accumulation: several micro-batches make one optimizer update.

What: a window of micro-batches is weighted by its samples, so that uneven micro-batches and the shorter last window
give exactly the gradient of one large batch. "Exactly" ends where a batch enters otherwise than as a mean over
samples: batch normalisation, contrastive negatives, mixing partners and balance losses see the micro-batch.
Source: Ott et al., Scaling Neural Machine Translation, 2018, https://arxiv.org/abs/1806.00187.
Cost: memory of one micro-batch, time of all. Off: `accumulation_steps=1`.
"""

from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import islice
from math import ceil
from typing import TypeVar

Batch = TypeVar("Batch")


def updates_of(loader: Iterable, accumulation_steps: int) -> int:
    """Optimizer updates of an epoch; raises ValueError when the loader is empty or does not know its length."""
    if not isinstance(loader, Sized):
        raise ValueError("The loader has no length; the schedule needs to know how many batches an epoch has.")
    if len(loader) == 0:
        raise ValueError("The loader is empty; give it at least one batch.")
    return num_updates(len(loader), accumulation_steps)


def num_updates(num_batches: int, accumulation_steps: int) -> int:
    """Optimizer updates in an epoch of `num_batches` micro-batches; the last window may be short."""
    return ceil(num_batches / accumulation_steps)


def windows(batches: Iterable[Batch], accumulation_steps: int) -> Iterator[list[Batch]]:
    """Groups micro-batches into the windows of one update each; the last window holds what is left."""
    iterator = iter(batches)
    while window := list(islice(iterator, accumulation_steps)):
        yield window


def sample_weights(sizes: Sequence[int]) -> list[float]:
    """Weight of each micro-batch's mean loss within its window, summing to 1: its share of the samples."""
    total = sum(sizes)
    return [size / total for size in sizes]
