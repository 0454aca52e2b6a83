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
        seconds, metrics = self._sleep.seconds, {"val/s_measure": 0.5}
        return EpochResult(epoch=self.epoch, objective=0.5, metrics=metrics, seconds=seconds, precision="fp32")

    def save(self, path: Path) -> None:
        path.write_text(str(self.epoch))

    def restore(self, path: Path) -> None:
        self.epoch = int(path.read_text())
