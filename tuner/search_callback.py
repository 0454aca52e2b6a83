"""Puts what Ray reports on record, at once, and shows it."""

import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ray import tune
from ray.tune.experiment import Trial

from tuner.disk import CheckpointShelf, is_full
from tuner.live_view import View
from tuner.outcomes import EPOCH, OUTCOME, Numbers, Outcome, measured, outcome_of
from tuner.paced_view import PacedView
from tuner.proposer import Proposer
from tuner.recorder import Recorder
from tuner.records import SearchRecord
from tuner.snapshot import Keeper
from tuner.tensorboard_events import TrialBoards

logger = logging.getLogger(__name__)

SECONDS = "epoch_seconds"
_WITHOUT_VALUE = frozenset({Outcome.DIVERGED, Outcome.OUT_OF_MEMORY})
"""The last result of such a trial carries a stand-in for the objective, which is no measurement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What ends a session before the search is done; None is no limit."""

    seconds: float | None = None
    """The search may run so long in all, over its sessions."""
    disk_bytes: int | None = None
    """Its checkpoints may take so much together; None leaves it at what is on record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What belongs to this session of a search and not to the search: who looks on, and until when."""

    make_view: Callable[[SearchRecord], View]
    limits: Limits = Limits()


class SearchCallback(tune.Callback):
    """The one listener: records first, then TensorBoard, then the view.

    Ray pickles it with the search and makes it anew at a resume; the recorder then goes on with its files.
    """

    watch: ClassVar[Watch | None] = None
    """Set before the search begins; Ray's restored copy finds it here too."""

    def __init__(self, recorder: Recorder, proposer: Proposer, *, objective: str, max_epochs: int) -> None:
        self._recorder = recorder
        self._proposer = proposer
        self._objective = objective
        self._max_epochs = max_epochs
        self._boards = TrialBoards(recorder.folder / "tensorboard")
        self._view: PacedView | None = None
        self._shelf: CheckpointShelf | None = None
        self._keeper: Keeper | None = None
        self._is_over = False

    def setup(self, **info) -> None:
        assert self.watch is not None
        limits, record = self.watch.limits, self._recorder.record
        if limits.disk_bytes is not None:
            self._recorder.change(disk_budget_bytes=limits.disk_bytes)
        # This one is of the session alone: a search that has used its time up goes on without.
        record.settings["time_budget_seconds"] = limits.seconds
        self._shelf = CheckpointShelf(self._recorder.folder, record, record.settings.get("disk_budget_bytes"))
        self._view = PacedView(self.watch.make_view(self._recorder.record))
        self._view.start()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info) -> None:
        self._begin(trial)
        self._show()

    def on_trial_result(self, iteration: int, trials: list[Trial], trial: Trial, result: dict, **info) -> None:
        if result.get(OUTCOME) in _WITHOUT_VALUE:
            return
        metrics = measured(result)
        self._recorder.result(
            trial.trial_id,
            epoch=result[EPOCH],
            objective=result[self._objective],
            metrics=metrics,
            seconds=result[SECONDS],
            process=f"{result['hostname']}:{result['pid']}",
            precision=result["precision"],
        )
        self._boards.add(trial.trial_id, result[EPOCH], metrics)
        self._show()

    def on_checkpoint(
        self, iteration: int, trials: list[Trial], trial: Trial, checkpoint: tune.Checkpoint, **info
    ) -> None:
        if not self._recorder.record.by_id[trial.trial_id].results:
            return
        path = os.path.relpath(checkpoint.path, self._recorder.folder.absolute())
        self._recorder.checkpoint(trial.trial_id, epoch=trial.last_result[EPOCH], path=path)
        # What counts is how often it failed in a row: a long training may lose its process now and then.
        trial.run_metadata.num_failures = 0
        if not self._makes_room(trial) and (shortage := self._shelf.shortage()):
            self._pause(f"{shortage} Make room, or give a larger --disk-budget, and go on with --resume.")

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info) -> None:
        outcome = outcome_of(trial.last_result, objective=self._objective, max_epochs=self._max_epochs)
        self._end(trial, outcome, self._numbers(trial, outcome))

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info) -> None:
        """On a full disk it would fail again, and then for good."""
        error = _told_by(trial)
        if is_full(error):
            self._pause(f"The disk is full: {_last_line(error)}. Make room, and go on with --resume.")

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info) -> None:
        self._end(trial, Outcome.FAILED, {"error": _last_line(_told_by(trial))})

    def on_step_end(self, iteration: int, trials: list[Trial], **info) -> None:
        self._view.catch_up()
        self._keep(trials)
        budget = self.watch.limits.seconds
        if budget is not None and self._recorder.elapsed > budget:
            self._pause("The time budget is used up: go on with --resume, and give a larger --time-budget or none.")

    def on_experiment_end(self, trials: list[Trial], **info) -> None:
        """Ray has written its snapshot by now: a resume finds the interrupted trials as they were running."""
        self._proposer.close()
        self._settle_for_less()
        self._view.stop()
        self._recorder.interrupt()
        self._boards.close()
        self._recorder.close()

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_view": None, "_shelf": None, "_keeper": None, "_is_over": False}

    def _pause(self, reason: str) -> None:
        """Ends as by Ctrl-C, which saves the running trials for a resume."""
        if not self._is_over:
            self._is_over = True
            logger.info("%s", reason)
            signal.raise_signal(signal.SIGINT)

    def _makes_room(self, trial: Trial) -> bool:
        """Whether a waiting trial ends for it; its checkpoint goes when its end is on record."""
        self._shelf.put(self._recorder.record.by_id[trial.trial_id])
        return self._shelf.is_over_budget and self._proposer.give_up_one(kept=self._shelf.needed)

    def _settle_for_less(self) -> None:
        """A space may hold fewer configurations than were asked for: with all of them tried, the search is done."""
        asked, begun = self._recorder.record.settings["num_trials"], {t.number for t in self._recorder.record.trials}
        if len(begun) < asked and self._proposer.has_nothing_left:
            logger.info("%d trials were asked for, but after %d nothing new is left to try.", asked, len(begun))
            self._recorder.extend(len(begun))

    def _keep(self, trials: list[Trial]) -> None:
        """Ray's folders are known from its trials alone."""
        if self._keeper is None and trials:
            storage = trials[0].storage
            self._keeper = Keeper(Path(storage.experiment_driver_staging_path), Path(storage.experiment_fs_path))
        if self._keeper is not None:
            self._keeper.catch_up()

    def _begin(self, trial: Trial) -> None:
        self._recorder.start(trial.trial_id, number=self._number_of(trial), params=trial.config)

    def _number_of(self, trial: Trial) -> int:
        """On record, a killed search may know trials that are younger than the snapshot it comes back from."""
        known = self._recorder.record.by_id
        number = known[trial.trial_id].number if trial.trial_id in known else self._proposer.number_of(trial.trial_id)
        return number if number is not None else max((one.number for one in known.values()), default=-1) + 1

    def _end(self, trial: Trial, outcome: Outcome, numbers: Numbers) -> None:
        known = self._recorder.record.by_id.get(trial.trial_id)
        if known is None or known.outcome is not None:
            # Its setup failed, or it waited since before a resume: Ray tells the end of such a trial alone, and once
            # more when a kill came before it had saved it.
            self._begin(trial)
        epoch = (trial.last_result or {}).get(EPOCH, 0)
        self._recorder.end(trial.trial_id, outcome, numbers={"epoch": epoch, **numbers}, epoch=epoch)
        self._makes_room(trial)
        record = self._recorder.record.by_id[trial.trial_id]
        self._boards.end(trial.trial_id, record.params, record.last.objective if record.last else None)
        self._show()

    def _numbers(self, trial: Trial, outcome: Outcome) -> Numbers:
        """What the outcome rests on: the deciding rung, or what the trial said of itself."""
        if outcome is Outcome.STOPPED_AT_RUNG:
            decision = next(d for d in reversed(self._recorder.decisions) if d.trial == trial.trial_id)
            numbers = {name: getattr(decision, name) for name in ("rung", "value", "cutoff", "rank", "of", "expected")}
            if decision.expected is not None:
                numbers["one_in"] = self._recorder.record.settings["reduction_factor"]
            numbers |= {"short_of": "disk" if trial.trial_id == self._proposer.given_up else None}
            return {name: number for name, number in numbers.items() if number is not None}
        prefix = "outcome_"
        said = {name.removeprefix(prefix): v for name, v in trial.last_result.items() if name.startswith(prefix)}
        return said if outcome in _WITHOUT_VALUE else said | {"objective": trial.last_result[self._objective]}

    def _show(self) -> None:
        self._view.update(self._recorder.record)


def _told_by(trial: Trial) -> str:
    """The tracebacks of all its failures."""
    return Path(trial.error_file).read_text() if trial.error_file else ""


def _last_line(error: str) -> str:
    """The exception itself."""
    lines = error.strip().splitlines()
    return lines[-1] if lines else "the process ended without a word"
