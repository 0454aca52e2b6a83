"""TensorBoard event files, one folder a trial: its curves and, at its end, its parameters beside its objective."""

import shutil
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from tuner.records import SearchRecord, TrialRecord
from tuner.records.events import EpochDone, Event, TrialEnded

FOLDER = "tensorboard"
OBJECTIVE_TAG = "hparams/objective"


class TensorBoards:
    """Follows a search; what an earlier session left of trials that had not ended is written again."""

    def __init__(self, folder: Path, search: SearchRecord) -> None:
        self._folder = folder / FOLDER
        self._writers: dict[str, SummaryWriter] = {}
        for trial in search.trials:
            if trial.outcome is None or trial is _latest(search) or not (self._folder / trial.name).exists():
                self._rewrite(trial)

    def on_event(self, search: SearchRecord, event: Event) -> None:
        if isinstance(event, EpochDone):
            self._add(event)
            self._writers[event.trial].flush()
        elif isinstance(event, TrialEnded):
            self._end(search.by_name[event.trial])

    def close(self) -> None:
        while self._writers:
            self._writers.popitem()[1].close()

    def _rewrite(self, trial: TrialRecord) -> None:
        shutil.rmtree(self._folder / trial.name, ignore_errors=True)
        for epoch in sorted(trial.results):
            self._add(trial.results[epoch])
        if trial.outcome is not None:
            self._end(trial)

    def _add(self, result: EpochDone) -> None:
        writer = self._writer(result.trial)
        for name, value in result.metrics.items():
            if value is not None:
                writer.add_scalar(name, value, result.epoch)

    def _end(self, trial: TrialRecord) -> None:
        """Closes a trial's file; its parameters appear on TensorBoard's HParams page."""
        writer = self._writer(trial.name)
        if trial.last is not None:
            plain = {
                name: value if isinstance(value, bool | int | float) else str(value)
                for name, value in trial.params.items()
            }
            for summary in hparams(plain, {OBJECTIVE_TAG: trial.last.objective}):
                writer.file_writer.add_summary(summary)
            writer.add_scalar(OBJECTIVE_TAG, trial.last.objective)
        self._writers.pop(trial.name).close()

    def _writer(self, trial: str) -> SummaryWriter:
        if trial not in self._writers:
            self._writers[trial] = SummaryWriter(self._folder / trial)
        return self._writers[trial]


def _latest(search: SearchRecord) -> TrialRecord | None:
    """The trial that ended last: a kill may have come between its last line and its board."""
    ended = [trial for trial in search.trials if trial.end_time is not None]
    return max(ended, key=lambda trial: trial.end_time, default=None)
