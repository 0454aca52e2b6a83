"""TensorBoard event files, one folder per trial: its curves and, when it ends, its parameters and objective."""

import shutil
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from trainable.reporting.tracking import plain_params
from tuner.records import SearchRecord, TrialRecord
from tuner.records.events import EpochDone, Event, TrialEnded

FOLDER = "tensorboard"
OBJECTIVE_TAG = "hparams/objective"
MAX_OPEN = 64
"""Files open at a time, each with its own thread: a promoting search may have hundreds of waiting trials."""


class TensorBoards:
    """Logs a search; the files of trials that had not ended in an earlier session are rewritten."""

    def __init__(self, folder: Path, search: SearchRecord) -> None:
        self._folder = folder / FOLDER
        self._writers: dict[str, SummaryWriter] = {}
        """The most recently used one is last."""
        self._epochs: dict[str, int] = {}
        """The last epoch written for each open trial."""
        last_end = max((trial.end_time for trial in search.trials if trial.end_time is not None), default=None)
        for trial in search.trials:
            # A kill may have come between the last record and its event file.
            if trial.end_time in (None, last_end) or not (self._folder / trial.name).exists():
                self._rewrite(trial)

    def on_event(self, search: SearchRecord, event: Event) -> None:
        if isinstance(event, EpochDone):
            # A trial that started over must show each epoch once, and TensorBoard may read several files of a folder
            # in any order.
            if event.trial in self._writers and event.epoch > self._epochs[event.trial]:
                self._add(event)
            else:
                self._rewrite(search.by_name[event.trial])
            self._writer(event.trial).flush()
        elif isinstance(event, TrialEnded):
            trial = search.by_name[event.trial]
            if event.trial in self._writers:
                self._end(trial)
            else:
                self._rewrite(trial)

    def close(self) -> None:
        while self._writers:
            self._writers.popitem()[1].close()

    def _rewrite(self, trial: TrialRecord) -> None:
        if trial.name in self._writers:
            self._writers.pop(trial.name).close()
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
        self._epochs[result.trial] = result.epoch

    def _end(self, trial: TrialRecord) -> None:
        """Closes a trial's file; its parameters appear on TensorBoard's HParams page."""
        writer = self._writer(trial.name)
        if trial.last is not None:
            for summary in hparams(plain_params(trial.params), {OBJECTIVE_TAG: trial.last.objective}):
                writer.file_writer.add_summary(summary)  # type: ignore[attr-defined]  # torch types it by its first None
            writer.add_scalar(OBJECTIVE_TAG, trial.last.objective)
        self._writers.pop(trial.name).close()
        self._epochs.pop(trial.name, None)

    def _writer(self, trial: str) -> SummaryWriter:
        """The trial's writer, marked as most recently used; closes the least recently used one beyond MAX_OPEN."""
        writer = self._writers.pop(trial, None) or SummaryWriter(self._folder / trial)
        self._writers[trial] = writer
        if len(self._writers) > MAX_OPEN:
            self._writers.pop(next(iter(self._writers))).close()
        return writer
