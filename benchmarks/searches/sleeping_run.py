"""A stand-in for a training in the benchmark of a search."""

from pathlib import Path

from benchmarks.searches.sleep import Sleep
from trainable.run import Ending, EpochResult


class SleepingRun:
    """The part of TrainingRun that a trial uses; its epochs sleep."""

    def __init__(self, sleep: Sleep, trial: str) -> None:
        self.trial, self.epoch = trial, 0
        self._sleep = sleep

    @property
    def ending(self) -> Ending | None:
        return Ending(outcome="completed") if self.epoch >= self._sleep.num_epochs else None

    def run_epoch(self) -> EpochResult:
        self._sleep.epoch(self.trial)
        self.epoch += 1
        measured = {"objective": 0.5, "metrics": {"val/s_measure": 0.5}, "precision": "fp32"}
        return EpochResult(epoch=self.epoch, seconds=self._sleep.seconds, **measured)

    def save(self, path: Path) -> None:
        path.write_text(str(self.epoch))

    def restore(self, path: Path) -> None:
        self.epoch = int(path.read_text())
