"""When a trial stops: successive halving for Ray, with the reason for each decision on record."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from typing import Protocol

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from tuner.outcomes import EPOCH
from tuner.rungs import KEEP, STOP, Decision, PastDecision, Rungs


class Ledger(Protocol):
    """Where decisions are kept; `tuner.recorder.Recorder` is one. Picklable, because Ray pickles its scheduler."""

    @property
    def decisions(self) -> Sequence[PastDecision]: ...

    def decision(self, trial: str, **fields) -> None: ...


class StoppingScheduler(FIFOScheduler):
    """Asks `Rungs` about each result and writes the answer into the ledger.

    Ray forgets its scheduler when a search is restored. So the rungs are no state of their own: they are made anew from
    the ledger's decisions when the first result arrives, in a new search as in a resumed one. Without rungs every trial
    trains to its full length, unless its value is not finite.

    Args:
        is_spared: whether a trial goes on whatever the rungs say, as the yardstick of all others has to.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        rung_epochs: Iterable[int],
        reduction_factor: int,
        is_spared: Callable[[str], bool] | None = None,
    ) -> None:
        super().__init__()
        self._ledger = ledger
        self._is_spared = is_spared
        self._rung_epochs = tuple(rung_epochs)
        self._reduction_factor = reduction_factor
        self._mode: str | None = None
        self._rungs: Rungs | None = None

    def set_search_properties(self, metric: str | None, mode: str | None, **spec) -> bool:
        """Ray hands over what TuneConfig says."""
        self._metric, self._mode = metric, mode
        return True

    def on_trial_result(self, tune_controller, trial, result: dict) -> str:
        if self._rungs is None:
            self._rungs = self._rungs_so_far()
        decision = self._rungs.record(trial.trial_id, epoch=result[EPOCH], value=result[self._metric])
        if decision is None:
            return TrialScheduler.CONTINUE
        decision = self._spared(trial.trial_id, decision)
        self._ledger.decision(trial.trial_id, **asdict(decision))
        return TrialScheduler.STOP if decision.action == STOP else TrialScheduler.CONTINUE

    def _spared(self, trial: str, decision: Decision) -> Decision:
        """Nothing spares a trial whose value is not finite."""
        is_saved = decision.action == STOP and math.isfinite(decision.value)
        return replace(decision, action=KEEP) if is_saved and self._is_spared and self._is_spared(trial) else decision

    def debug_string(self) -> str:
        return f"successive halving at epochs {self._rung_epochs}"

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_rungs": None}

    def _rungs_so_far(self) -> Rungs:
        return Rungs.replayed(
            self._rung_epochs, self._ledger.decisions, reduction_factor=self._reduction_factor, mode=self._mode
        )
