"""A copy of the study's finished trials on disk, for `optuna-dashboard study.journal` and `optuna.load_study`.

Only a copy: the study that proposes lives in memory and comes back with Ray's snapshot, so that the two can never
disagree about what a resumed search knows. Cost: one appended line or two per finished trial. Off: no mirror.
"""

import json
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from tuner.ended_trials import EndedTrials

FILE = "study.journal"


class StudyMirror:
    """Brings the file up to date with a study, at first by writing it anew: after a restore it may be ahead of it."""

    def __init__(self, path: Path, *, study_name: str) -> None:
        self._path = path
        self._study_name = study_name
        self._copy: optuna.Study | None = None
        self._ended = EndedTrials()

    def update(self, study: optuna.Study) -> None:
        """Appends the trials that have finished since the last time."""
        if self._copy is None:
            self._copy = self._begin(study.direction)
        for trial in self._ended.look(study)[0]:
            if "outcome" in trial.user_attrs:
                self._copy.add_trial(trial)

    def _begin(self, direction: optuna.study.StudyDirection) -> optuna.Study:
        self._path.unlink(missing_ok=True)
        self._ended = EndedTrials()
        storage = JournalStorage(_OneWriter(self._path))
        return optuna.create_study(storage=storage, study_name=self._study_name, direction=direction)

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_copy": None}


def load_mirror(path: Path) -> optuna.Study:
    """The study that a search left behind."""
    storage = JournalStorage(JournalFileBackend(str(path)))
    # Left to find the only name by itself, Optuna says so on the terminal.
    (name,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=name, storage=storage)


class _OneWriter(JournalFileBackend):
    """Appends without a lock, and without waiting for the disk, which the whole search would do on a busy one.

    The search alone writes this file, and a kill takes nothing from it that was written.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path

    def append_logs(self, logs: list[dict]) -> None:
        with self._path.open("ab") as file:
            file.write(b"".join(json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in logs))
