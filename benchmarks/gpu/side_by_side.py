"""Images a second of 1, 2 and 4 trainings that share one device."""

import multiprocessing
import time
from threading import BrokenBarrierError
from typing import Any

import torch

from benchmarks.gpu.work import OURS, Work, synchronise, variants

COUNTS = (1, 2, 4)

_barrier: Any = None
"""Barrier of the processes that train together."""


def images_per_second(work: Work, count: int, rounds: int) -> tuple[float, ...]:
    """Images per second of all `count` processes together, per round; all start each round together.

    The first error of a process is raised: the others do not wait for it.
    """
    context = multiprocessing.get_context("spawn")
    barrier, errors = context.Barrier(count), []

    def end_all(error: BaseException) -> None:
        errors.append(error)
        barrier.abort()

    with context.Pool(count, initializer=_keep, initargs=(barrier,)) as pool:
        trained = [pool.apply_async(_train_together, (work, rounds), error_callback=end_all) for _ in range(count)]
        try:
            spans = [one.get() for one in trained]
        except BrokenBarrierError:
            raise errors[0] from None
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
