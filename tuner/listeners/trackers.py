"""Logs a search to MLflow and Weights & Biases: one run per trial, which a resumed search continues."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from trainable.reporting.tracking import TrackedRun, Tracker, open_tracker
from tuner.records import SearchRecord, TrialRecord
from tuner.records.events import EpochDone, Event, TrialEnded, TrialStarted
from tuner.records.lines import LineFile, complete_lines
from tuner.records.recorder import Listener

ENDED = "tracked.txt"
"""Names of the trials whose runs have ended in every tracker, one per line; the next session opens the others."""


class TrialTrackers(Listener):
    """Logs a search to the named trackers, after adding what an earlier session left out."""

    def __init__(self, names: Sequence[str], folder: Path, search: SearchRecord) -> None:
        self._names, self._folder = names, folder
        self._experiment = f"{search.settings.space}/{search.settings.name}"
        self._open: dict[str, list[Tracker]] = {}
        ended = {line.decode() for _, line in complete_lines(folder / ENDED)}
        for trial in search.trials:
            if trial.name not in ended:
                self._start(trial)
                if trial.outcome is not None:
                    self._end(trial.name)

    def on_event(self, search: SearchRecord, event: Event) -> None:
        match event:
            case TrialStarted(trial=trial):
                self._start(search.by_name[trial])
            case EpochDone(trial=trial):
                self._log(event)
            case TrialEnded(trial=trial):
                self._end(trial)

    def close(self) -> None:
        """Closes the runs of unfinished trials too; the next session reopens them."""
        while self._open:
            _, trackers = self._open.popitem()
            for tracker in trackers:
                tracker.end()

    def _start(self, trial: TrialRecord) -> None:
        run = TrackedRun(folder=self._folder, name=trial.name, experiment=self._experiment, params=trial.params)
        self._open[trial.name] = [open_tracker(name, run) for name in self._names]
        for epoch in sorted(trial.results):
            self._log(trial.results[epoch])

    def _log(self, result: EpochDone) -> None:
        """Skips epochs that a tracker already has: a trial that started over repeats them to the bit."""
        metrics = {name: value for name, value in result.metrics.items() if value is not None}
        for tracker in self._open[result.trial]:
            if result.epoch > tracker.last_epoch:
                tracker.log(result.epoch, metrics)

    def _end(self, trial: str) -> None:
        for tracker in self._open.pop(trial):
            tracker.end()
        with closing(LineFile(self._folder / ENDED)) as file:
            file.append(trial)
