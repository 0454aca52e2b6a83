"""A copy of the search as an Optuna study, for `optuna-dashboard study.journal` and `optuna.load_study`.

Trial numbers are those of the search. Every session rewrites the file from the records, then appends each event: one
short line. Off: do not add the listener.
"""

import json
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from tuner.policy.outcomes import Outcome
from tuner.policy.samplers.tpe import DIRECTIONS, STATES, known_warnings_ignored
from tuner.records import SearchRecord, TrialRecord
from tuner.records.events import EpochDone, Event, TrialEnded, TrialStarted
from tuner.records.recorder import Listener

FILE = "study.journal"

logger = logging.getLogger(__name__)


class StudyCopy(Listener):
    """Copies a search, event by event.

    Args:
        space: maps an Optuna trial to parameters.
    """

    def __init__(self, folder: Path, search: SearchRecord, space: Callable[[Any], dict]) -> None:
        self._space = space
        (folder / FILE).unlink(missing_ok=True)
        self._storage = JournalStorage(_OneWriter(folder / FILE))
        direction = DIRECTIONS[search.settings.mode]
        self._study = self._storage.create_new_study([direction], study_name=folder.name)
        with known_warnings_ignored():
            study = optuna.load_study(study_name=folder.name, storage=self._storage)
            study.set_metric_names([search.settings.metric])
        self._ids: dict[str, int] = {}
        for trial in search.trials:
            self._start(trial.name, trial.answers)
            for result in trial.results.values():
                self._storage.set_trial_intermediate_value(self._ids[trial.name], result.epoch, result.objective)
            if trial.outcome is not None:
                self._end(trial, trial.outcome)

    def on_event(self, search: SearchRecord, event: Event) -> None:
        match event:
            case TrialStarted(trial=trial, answers=answers):
                self._start(trial, answers)
            case EpochDone(trial=trial, epoch=epoch, objective=objective):
                self._storage.set_trial_intermediate_value(self._ids[trial], epoch, objective)
            case TrialEnded(trial=trial, outcome=outcome):
                self._end(search.by_name[trial], outcome)

    def _start(self, trial: str, answers: dict[str, Any]) -> None:
        asked = optuna.trial.FixedTrial(answers)
        with known_warnings_ignored():
            self._space(asked)
            template = optuna.trial.create_trial(
                state=TrialState.RUNNING,
                params=asked.params,
                distributions=asked.distributions,
                user_attrs={"trial": trial},
            )
            self._ids[trial] = self._storage.create_new_trial(self._study, template_trial=template)

    def _end(self, trial: TrialRecord, outcome: Outcome) -> None:
        identity, state = self._ids.pop(trial.name), STATES[outcome]
        self._storage.set_trial_user_attr(identity, "outcome", str(outcome))
        values = [trial.last_result.objective] if state is TrialState.COMPLETE else None
        self._storage.set_trial_state_values(identity, state, values)


def mark_exported(folder: Path, trial: TrialRecord, *, remark: str | None, left: str | None) -> None:
    """Adds to the study which trial is exported, as `exported_number`, `exported_trial` and, if any, `remark`.

    What an interrupted search would still do is `interrupted`. Nothing where a search has dropped its copy.
    """
    if not (folder / FILE).exists():
        return
    facts = {
        "interrupted": left,
        "exported_number": trial.number,
        "exported_trial": trial.name,
        "remark": remark,
    }
    try:
        with known_warnings_ignored():
            storage = JournalStorage(_OneWriter(folder / FILE))
            # Optuna logs a name that it finds by itself.
            study = optuna.load_study(study_name=optuna.get_all_study_names(storage)[0], storage=storage)
        for name, value in facts.items():
            study.set_user_attr(name, value)
    except (OSError, ValueError, LookupError) as error:
        logger.warning("The copy for Optuna (%s) does not say which trial is exported: %s", FILE, error)


class _OneWriter(JournalFileBackend):
    """Appends without a lock and without fsync, which would block the whole search on a busy disk.

    Only the search writes this file, and a kill loses nothing that was written. Optuna reads back what it has appended;
    it gets that from memory.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path
        self._appended: list[dict[str, Any]] = []

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        with self._path.open("ab") as file:
            file.write(b"".join(json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in logs))
        self._appended += logs

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:  # type: ignore[override]
        if not self._appended:
            return super().read_logs(log_number_from)
        appended, self._appended = self._appended, []
        return appended
