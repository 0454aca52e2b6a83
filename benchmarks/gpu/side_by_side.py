"""Images a second of 1, 2 and 4 trainings that share one device."""

import multiprocessing
import time
from functools import partial
from typing import Any

import torch

from benchmarks.gpu.work import OURS, Work, synchronise, variants

COUNTS = (1, 2, 4)

_barrier: Any = None
"""Barrier of the processes that train together."""


def images_per_second(work: Work, count: int, rounds: int) -> tuple[float, ...]:
    """Images per second of all `count` processes together, per round; all start each round together."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(count)
    with context.Pool(count, initializer=_keep, initargs=(barrier,)) as pool:
        spans = pool.map(partial(_train_together, work), [rounds] * count, chunksize=1)
    seconds = [
        max(ended for _, ended in together) - min(began for began, _ in together)
        for together in zip(*spans, strict=True)
    ]
    return tuple(count * work.steps * work.batch / one for one in seconds)


def _keep(barrier) -> None:
    global _barrier
    _barrier = barrier
    torch.set_num_threads(1)


def _train_together(work: Work, rounds: int) -> list[tuple[float, float]]:
    """Start and end of each round in this process, by the clock that all processes share."""
    epoch = variants(work)[OURS]()
    epoch()
    spans = []
    for _ in range(rounds):
        synchronise(work.device)
        _barrier.wait()
        began = time.monotonic()
        epoch()
        synchronise(work.device)
        spans.append((began, time.monotonic()))
    return spans
