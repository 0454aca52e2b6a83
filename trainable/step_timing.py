"""A few steps of a training, to learn what all of it will take."""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from trainable.build_trainer import build_trainer
from trainable.config import TrialConfig, from_params, section_names
from trainable.tasks.registry import get_task
from trainable.techniques.memory import (
    MemoryShortage,
    can_be_halved,
    device_gib,
    forget_peak,
    halved,
    peak_gib,
    shortages_named,
)
from trainable.techniques.optim.gradient_update import updates_of

EVALUATION_BATCHES = 2
STEADY_SECONDS, MOST_REPEATS = 2.0, 30
"""What is short is timed again until so long has gone by, but not more often than this: a machine is seldom quiet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTiming:
    """What a training of one configuration takes on this machine."""

    update_seconds: float
    updates_per_epoch: int
    batch_size: int
    """Images of a micro-batch: what was asked for, halved until it fitted, as in a search."""
    build_seconds: float
    """Of everything that a training needs before its first epoch, but for the data."""
    validation_seconds: float
    """Of the whole validation split, from a few of its batches."""
    peak_gib: float
    """Of the GPU's memory, or of the whole process on a CPU."""
    device_gib: float
    """What the GPU, or the machine, has."""
    checkpoint_mb: float
    checkpoint_seconds: float

    @property
    def training_seconds(self) -> float:
        """Of the updates of one epoch."""
        return self.update_seconds * self.updates_per_epoch

    @property
    def epoch_seconds(self) -> float:
        return self.training_seconds + self.validation_seconds


class _First:
    """The first batches of a loader, as a loader."""

    def __init__(self, batches: Any, count: int) -> None:
        self._batches, self._count = batches, min(count, len(batches))

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator:
        return islice(iter(self._batches), self._count)


def rehearse(config: TrialConfig, splits: Any, *, device: torch.device) -> StepTiming:
    """Trains two updates or a few more and validates two batches, in a process of its own, whose peak memory counts.

    Raises:
        DivergedError: the training diverged at once.
        MemoryShortage: the smallest micro-batch does not fit.
    """
    while True:
        try:
            with shortages_named():
                return _rehearsed(config, splits, device)
        except MemoryShortage:
            if not can_be_halved(config.batch_size, config.min_batch_size):
                raise
        # Outside the handler: the error holds on to every tensor of the step that failed.
        forget_peak(device)
        batch_size, accumulation_steps = halved(config.batch_size, config.accumulation_steps)
        config = replace(config, batch_size=batch_size, accumulation_steps=accumulation_steps)


def _rehearsed(config: TrialConfig, splits: Any, device: torch.device) -> StepTiming:
    task = get_task(config.workload)
    training = task.training_batches(config, splits.train, device)
    validation = task.evaluation_batches(config, splits.validation, device)
    updates_per_epoch = updates_of(training, config.accumulation_steps)
    if "unfreezing" in section_names(config):
        # What takes most is measured: the epochs in which every block trains.
        config = from_params({"unfreezing": False}, config)
    trainer, build_seconds = _timed(
        device, lambda: build_trainer(task, config, updates_per_epoch=updates_per_epoch, device=device)
    )
    one_update, some = _First(training, config.accumulation_steps), _First(validation, EVALUATION_BATCHES)
    steps = config.accumulation_steps
    update_seconds = _steady(
        device, lambda: trainer.train_epoch(one_update, 0, log_interval=0, accumulation_steps=steps)
    )
    seconds = _steady(device, lambda: trainer.evaluate(some, metrics=task.build_metrics(config, final=False)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.pt"
        checkpoint_seconds = _steady(device, lambda: trainer.save_checkpoint(path, 1))
        checkpoint_mb = path.stat().st_size / 1e6
    return StepTiming(
        update_seconds=update_seconds,
        updates_per_epoch=updates_per_epoch,
        batch_size=config.batch_size,
        build_seconds=build_seconds,
        validation_seconds=seconds * len(validation) / len(some),
        peak_gib=peak_gib(device),
        device_gib=device_gib(device),
        checkpoint_mb=checkpoint_mb,
        checkpoint_seconds=checkpoint_seconds,
    )


def _steady(device: torch.device, work: Callable[[], Any]) -> float:
    """Mean seconds after the first time, which finds memory and kernels."""
    work()
    seconds: list[float] = []
    while not seconds or (sum(seconds) < STEADY_SECONDS and len(seconds) < MOST_REPEATS):
        seconds.append(_timed(device, work)[1])
    return sum(seconds) / len(seconds)


def _timed(device: torch.device, work: Callable[[], Any]) -> tuple[Any, float]:
    """What it gives, and the seconds until the device has done it."""
    began = time.perf_counter()
    result = work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return result, time.perf_counter() - began
