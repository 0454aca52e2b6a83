"""A few steps of a training, to learn what all of it will take."""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from trainable.config import TrialConfig
from trainable.device_memory import device_gib, peak_gib
from trainable.tasks.registry import get_task
from trainable.techniques.accumulation import updates_of
from trainable.training_run import build_trainer

UPDATES = 2
"""The first finds memory and kernels, the last is timed."""
EVALUATION_BATCHES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What a training of one configuration takes on this machine."""

    update_seconds: float
    updates_per_epoch: int
    validation_seconds: float
    """Of the whole validation split, from a few of its batches."""
    peak_gib: float
    """Of the GPU's memory, or of the whole process on a CPU."""
    device_gib: float
    """What the GPU, or the machine, has."""
    checkpoint_mb: float

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


def rehearse(config: TrialConfig, splits: Any, *, device: torch.device) -> Rehearsal:
    """Trains two updates and validates two batches; call it in a process of its own, whose peak memory is measured.

    Raises:
        DivergedError: the training diverged at once.
        torch.OutOfMemoryError: it does not fit.
    """
    task = get_task(config.workload)
    training = task.training_batches(config, splits.train, device)
    validation = task.evaluation_batches(config, splits.validation, device)
    updates_per_epoch = updates_of(training, config.accumulation_steps)
    trainer = build_trainer(task, config, updates_per_epoch=updates_per_epoch, device=device)
    # What takes most is measured: the epochs in which every block trains.
    trainer.unfreezing = None
    one_update, some = _First(training, config.accumulation_steps), _First(validation, EVALUATION_BATCHES)
    for _ in range(UPDATES):
        update_seconds = _timed(device, lambda: trainer.train_epoch(one_update, 0, log_interval=0))
    for _ in range(UPDATES):
        seconds = _timed(device, lambda: trainer.validate(some, metrics=task.build_metrics(config, final=False)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.pt"
        trainer.save_checkpoint(path, 1)
        checkpoint_mb = path.stat().st_size / 1e6
    return Rehearsal(
        update_seconds=update_seconds,
        updates_per_epoch=updates_per_epoch,
        validation_seconds=seconds * len(validation) / len(some),
        peak_gib=peak_gib(device),
        device_gib=device_gib(device),
        checkpoint_mb=checkpoint_mb,
    )


def _timed(device: torch.device, work: Any) -> float:
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began
