"""MLflow and Weights & Biases in a search: a run for each trial, which goes on where a resumed search finds it."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from trainable.tracking import TrackedRun, Tracker, open_tracker, tracker_errors
from tuner.records import SearchRecord, TrialRecord
from tuner.records.events import EpochDone, Event, TrialEnded, TrialStarted

logger = logging.getLogger(__name__)


class TrialTrackers:
    """Follows a search with the named trackers; what an earlier session left out of a curve is added first.

    A tracker that can't be reached costs its curves, not the search: the next session adds what is missing.
    """

    def __init__(self, names: Sequence[str], folder: Path, search: SearchRecord) -> None:
        self._names, self._folder = names, folder
        self._experiment = f"{search.settings.space}/{folder.name}"
        self._open: dict[str, list[Tracker]] = {}
        self._is_lost = False
        with self._losses_logged():
            for trial in search.unfinished:
                self._start(trial)

    def on_event(self, search: SearchRecord, event: Event) -> None:
        if not self._is_lost:
            with self._losses_logged():
                self._follow(search, event)

    def _follow(self, search: SearchRecord, event: Event) -> None:
        match event:
            case TrialStarted(trial=trial):
                self._start(search.by_name[trial])
            case EpochDone(trial=trial):
                for tracker in self._open[trial]:
                    _log(tracker, event)
            case TrialEnded(trial=trial):
                self._end(trial)

    def close(self) -> None:
        with self._losses_logged():
            for trial in list(self._open):
                self._end(trial)

    @contextmanager
    def _losses_logged(self) -> Iterator[None]:
        try:
            yield
        except tracker_errors(self._names) as error:
            self._is_lost = True
            self._open.clear()
            logger.warning("Tracking stops, the search goes on; a resume adds what is missing: %s", error)

    def _start(self, trial: TrialRecord) -> None:
        run = TrackedRun(folder=self._folder, name=trial.name, experiment=self._experiment, params=trial.params)
        self._open[trial.name] = [open_tracker(name, run) for name in self._names]
        for tracker in self._open[trial.name]:
            for epoch in sorted(epoch for epoch in trial.results if epoch > tracker.last_epoch):
                _log(tracker, trial.results[epoch])

    def _end(self, trial: str) -> None:
        for tracker in self._open.pop(trial):
            tracker.end()


def _log(tracker: Tracker, result: EpochDone) -> None:
    tracker.log(result.epoch, {name: value for name, value in result.metrics.items() if value is not None})
