"""Adapts a session to Ray Tune: each of Ray's trials is one leg.

The searcher returns legs, the scheduler handles their reports, the stopper ends the run. They are stateless: Ray's own
state is scratch, and what it saves of these objects is empty.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.stopper import Stopper

from trainable.leg import Leg
from trainable.loop.loop_error import LoopError
from trainable.ray.trainable import LEG, REPORT, UNFIT_NODES, UnfitNodeError
from tuner.policy.policy import NoWork
from tuner.session import Session

MACHINE_GONE = re.compile("node has died|node was (terminated|preempted|drained)|owner has died")
"""Ray's messages for a lost machine."""
UNFIT = f"{UnfitNodeError.__module__}.{UnfitNodeError.__qualname__}: "
"""Prefix of the error from a machine that has just joined or lost its data, and cannot train."""
LOOP_ERROR = f"{LoopError.__module__}.{LoopError.__qualname__}: "
"""Prefix of an error in the user's own code, a loop or a network, which a restart would repeat."""
Answer = TypeVar("Answer")
Otherwise = TypeVar("Otherwise")


@dataclass
class FirstError:
    """Keeps the session's first error, to raise it when Ray has ended; Ray would wrap it in its own."""

    session: Session
    error: Exception | None = None

    def call(self, work: Callable[[], Answer], *, otherwise: Otherwise) -> Answer | Otherwise:
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - it is raised again when Ray has ended
            self.error = self.error or error
            self.session.stop("The search stops because of an error.")
            return otherwise


class _NotSaved:
    """Ray pickles these objects for a restore that is never used."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class LegSearcher(_NotSaved, Searcher):
    """Returns the session's next legs."""

    def __init__(self, guard: FirstError, *, unfit_nodes: Callable[[], Sequence[str]] = tuple) -> None:
        """`unfit_nodes` returns the ids of the nodes that get no trials."""
        super().__init__()
        self._guard, self._unfit_nodes = guard, unfit_nodes

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]  # Ray's docs: or FINISHED
        leg = self._guard.call(self._guard.session.next_leg, otherwise=NoWork.FINISHED)
        if leg is NoWork.FINISHED:
            return Searcher.FINISHED
        return {LEG: leg, UNFIT_NODES: list(self._unfit_nodes())} if isinstance(leg, Leg) else None

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        """The scheduler has reported it to the session."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing is restored."""

    def restore(self, checkpoint_path: str) -> None:
        raise AssertionError("a search continues from its records")


class LegScheduler(_NotSaved, FIFOScheduler):
    """Ends legs at rungs and when their trials end."""

    def __init__(self, guard: FirstError) -> None:
        super().__init__()
        self._guard = guard

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """None: Ray starts new legs by itself. Otherwise a leg whose process is starting would take the next free
        process, and its own would be killed: with short legs the other slots would stay empty."""
        return None

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict) -> str:
        leg, report = trial.config[LEG], result[REPORT]
        goes_on = self._guard.call(lambda: self._guard.session.take(leg.trial, report), otherwise=False)
        return TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        # Not trial.get_error(): that looks where Ray copies the file to, and it has not done so yet.
        text = Path(trial.error_file).read_text(encoding="utf-8") if trial.error_file else ""
        lines = text.strip().splitlines()
        error = lines[-1] if lines else "the process exited without an error message"
        session, leg = self._guard.session, trial.config[LEG]
        is_unfit = UNFIT in error
        if is_unfit or MACHINE_GONE.search(error):
            why = error.rpartition(UNFIT)[2]
            self._guard.call(lambda: session.move(leg.trial, why, is_unfit=is_unfit), otherwise=None)
            return
        reason, may_recover = error.removeprefix(LOOP_ERROR), LOOP_ERROR not in text
        self._guard.call(lambda: session.fail(leg.trial, reason, may_recover=may_recover), otherwise=None)


class SessionStopper(_NotSaved, Stopper):
    """Ends the run when the session has a reason to stop or Ray has died.

    Args:
        is_node_lost: whether Ray has died on this machine.
    """

    def __init__(self, guard: FirstError, *, is_node_lost: Callable[[], bool]) -> None:
        self._guard, self._is_node_lost = guard, is_node_lost

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        self._guard.session.check_time()
        if self._is_node_lost():
            self._guard.session.stop("Ray has died on this machine: continue with --resume.")
        return self._guard.session.stop_reason is not None


class StepCallback(_NotSaved, tune.Callback):
    """Calls back after every step of Ray's loop."""

    def __init__(self, on_step: Callable[[], None]) -> None:
        self._on_step = on_step

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self._on_step()
