"""TensorBoard event files, one folder a trial: its curves and, at its end, its parameters beside its objective."""

from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

OBJECTIVE_TAG = "hparams/objective"


class TrialBoards:
    """The open event files of the running trials."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: dict[str, SummaryWriter] = {}

    def add(self, trial: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """Adds the metrics of an epoch."""
        writer = self._writer(trial)
        for name, value in metrics.items():
            writer.add_scalar(name, value, epoch)
        writer.flush()

    def end(self, trial: str, params: Mapping[str, object], objective: float | None) -> None:
        """Closes a trial's file; its parameters appear on TensorBoard's HParams page."""
        writer = self._writer(trial)
        if objective is not None:
            plain = {
                name: value if isinstance(value, bool | int | float) else str(value) for name, value in params.items()
            }
            for summary in hparams(plain, {OBJECTIVE_TAG: objective}):
                writer.file_writer.add_summary(summary)
            writer.add_scalar(OBJECTIVE_TAG, objective)
        self._writers.pop(trial).close()

    def close(self) -> None:
        while self._writers:
            self._writers.popitem()[1].close()

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_writers": {}}

    def _writer(self, trial: str) -> SummaryWriter:
        if trial not in self._writers:
            self._writers[trial] = SummaryWriter(self._folder / trial)
        return self._writers[trial]
