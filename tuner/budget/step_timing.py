"""Times a few steps of a training, to estimate its time and memory."""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from trainable.build_trainer import build_trainer
from trainable.config import TrialConfig
from trainable.configuration.run_config import RunConfig
from trainable.device_copy import wait_for
from trainable.tasks.registry import get_task
from trainable.techniques.engine import engine_switched
from trainable.techniques.memory import (
    MemoryShortage,
    can_be_halved,
    device_gib,
    forget_peak,
    halve_micro_batch,
    peak_gib,
    shortages_named,
)
from trainable.techniques.optim.gradient_update import updates_of
from trainable.workloads.workload import Workload

EVALUATION_BATCHES = 2
WARM_SECONDS = 60.0
"""A shorter first epoch of a loop is not its time: it allocates memory, selects kernels and imports."""
STEADY_SECONDS, MOST_REPEATS = 2.0, 30
"""Short work is timed repeatedly, for this long and at most this often, because other processes disturb it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTiming:
    """Time and memory of one configuration on this machine."""

    update_seconds: float
    updates_per_epoch: int
    batch_size: int | None
    """Images of a micro-batch: the requested number, halved until it fits, as in a search. None where a loop of the
    user's own does not say; its epoch counts as one update."""
    build_seconds: float
    """Time before the first epoch, without opening the data."""
    validation_seconds: float
    """Time of the whole validation split, extrapolated from a few batches."""
    peak_gib: float
    """Peak memory of the GPU, or of the process on a CPU."""
    device_gib: float
    """Memory of the GPU, or of the machine."""
    checkpoint_mb: float
    checkpoint_seconds: float

    @property
    def epoch_seconds(self) -> float:
        return self.update_seconds * self.updates_per_epoch + self.validation_seconds


class _First:
    """The first batches of a loader, as a loader."""

    def __init__(self, batches: Any, count: int) -> None:
        self._batches, self._count = batches, min(count, len(batches))

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator:
        return islice(iter(self._batches), self._count)


def time_steps(config: TrialConfig, splits: Any, *, device: torch.device) -> StepTiming:
    """Trains at least two updates and validates two batches, in a new process, whose peak memory it measures.

    Raises:
        DivergedError: the training diverged at once.
        MemoryShortage: the smallest micro-batch does not fit.
    """
    while True:
        try:
            with shortages_named(), engine_switched(config.engine):
                return _time_steps(config, splits, device)
        except MemoryShortage:
            if not can_be_halved(config.batch_size, config.min_batch_size):
                raise
        # Outside the handler: the error holds on to every tensor of the step that failed.
        forget_peak(device)
        batch_size, accumulation_steps = halve_micro_batch(config.batch_size, config.accumulation_steps)
        config = replace(config, batch_size=batch_size, accumulation_steps=accumulation_steps)


def _time_steps(config: TrialConfig, splits: Any, device: torch.device) -> StepTiming:
    task = get_task(config.workload)
    training = task.training_batches(config, splits.train, device)
    validation = task.evaluation_batches(config, splits.validation, device)
    updates_per_epoch = updates_of(training, config.accumulation_steps)
    # What takes most is measured: the epochs in which images are whole and every block trains.
    training.set_epoch(config.max_epochs - 1)
    config = replace(config, unfreezing=None)
    trainer, build_seconds = _time(
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


def time_epoch(workload: Workload[Any], config: RunConfig, data: Any, *, device: torch.device) -> StepTiming:
    """Trains an epoch, or two if the first is short, in a new process, whose peak memory it measures.

    Raises:
        DivergedError: the training diverged at once.
        MemoryShortage: it does not fit.
    """
    run, build_seconds = _time(device, lambda: workload.begin(config, data, device=device))
    _, epoch_seconds = _time(device, run.run_epoch)
    if epoch_seconds < WARM_SECONDS and run.ending is None:
        _, epoch_seconds = _time(device, run.run_epoch)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.pt"
        _, checkpoint_seconds = _time(device, lambda: run.save(path))
        checkpoint_mb = path.stat().st_size / 1e6
    return StepTiming(
        update_seconds=epoch_seconds,
        updates_per_epoch=1,
        batch_size=None,
        build_seconds=build_seconds,
        validation_seconds=0.0,
        peak_gib=peak_gib(device),
        device_gib=device_gib(device),
        checkpoint_mb=checkpoint_mb,
        checkpoint_seconds=checkpoint_seconds,
    )


def _steady(device: torch.device, work: Callable[[], Any]) -> float:
    """Mean seconds after a first run, which allocates memory and selects kernels."""
    work()
    seconds: list[float] = []
    while not seconds or (sum(seconds) < STEADY_SECONDS and len(seconds) < MOST_REPEATS):
        seconds.append(_time(device, work)[1])
    return sum(seconds) / len(seconds)


def _time(device: torch.device, work: Callable[[], Any]) -> tuple[Any, float]:
    """Returns the result, and the seconds until the device has finished."""
    began = time.perf_counter()
    result = work()
    wait_for(device)
    return result, time.perf_counter() - began
