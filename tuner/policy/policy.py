"""The base of every policy, and the work that it gives to free slots."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum

from tuner.policy.candidates import Candidate
from tuner.policy.decision import PAUSE, PROMOTE, STOP, Decision
from tuner.policy.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class Start:
    """Start a trial of this configuration."""

    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Promote:
    """Continue this waiting trial, to the next rung or to `to_epoch`."""

    trial: str
    to_epoch: int | None = None


class NoWork(Enum):
    """Why a free slot gets no work."""

    WAIT = "wait"
    """A running trial must report first."""
    FINISHED = "finished"
    """No trial is left to start or to promote."""


Work = Start | Promote | NoWork


class Policy(ABC):
    """Decides from what was reported to it; trials are identified by name. Without overrides no trial waits.

    Args:
        slots: trials that run at a time.
    """

    def __init__(self, slots: int) -> None:
        self.paused: Mapping[str, int] = {}
        """The waiting trials and the epoch at which each waits."""
        self._slots, self._is_closed = slots, False
        self._work: Work | None = None

    def next_work(self) -> Work:
        """The work for the next free slot; it stays the same until another method changes the state."""
        if self._work is None:
            self._work = self._decide()
        return self._work

    def promotion_of(self, trial: str) -> Promote | None:
        """The next work if that continues this trial."""
        work = self.next_work()
        return work if isinstance(work, Promote) and work.trial == trial else None

    @abstractmethod
    def start(self, trial: str, candidate: Candidate) -> None:
        """A new trial starts."""

    def promote(self, promotion: Promote) -> None:
        """A waiting trial continues."""
        raise AssertionError(f"{promotion.trial} can't be promoted: no trial waits")

    @abstractmethod
    def report(self, trial: str, *, epoch: int, value: float) -> Decision | None:
        """Adds a finite result; a repeated one counts once. Returns None when there is nothing to decide."""

    def decision_on(self, trial: str, action: str, *, to_epoch: int | None = None) -> Decision:
        """Promoting or stopping this waiting trial, with the numbers behind it; call it before `promote` or `end`."""
        raise AssertionError(f"{trial} does not wait")

    @abstractmethod
    def end(self, trial: str, outcome: Outcome) -> None:
        """The trial has ended."""

    def resize(self, slots: int) -> None:
        """So many trials run at a time from now on; those that run go on."""
        self._slots = slots
        self._changed()

    def close(self) -> None:
        """No more trials start; of the waiting ones only those continue that the search cannot end without."""
        self._is_closed = True
        self._changed()

    @abstractmethod
    def add_past_trial(self, trial: str, candidate: Candidate, values: Mapping[int, float], outcome: Outcome) -> None:
        """Adds a trial of another search with its objectives by epoch; it can't win."""

    def trial_to_evict(self, *, kept: Collection[str] = ()) -> str | None:
        """The waiting trial to stop first when disk space runs out; those in `kept` are excluded."""
        return None

    @abstractmethod
    def _decide(self) -> Work:
        """The work that follows from the present state."""

    def _changed(self) -> None:
        """The next work is decided again."""
        self._work = None


@dataclass(frozen=True, slots=True)
class Consequences:
    """Consequences of a result."""

    decisions: tuple[Decision, ...] = ()
    outcome: Outcome | None = None
    """The trial's outcome; None while it may continue."""
    goes_on: bool = False
    """Whether it continues at once."""


def take_result(policy: Policy, trial: str, *, epoch: int, value: float, max_epochs: int) -> Consequences:
    """Reports a finite result to the policy; a trial that pauses and would be promoted next continues at once.

    If there is an outcome, the caller ends the trial.
    """
    decision = policy.report(trial, epoch=epoch, value=value)
    decisions = () if decision is None else (decision,)
    outcome = outcome_after(decision, epoch=epoch, max_epochs=max_epochs)
    if outcome is not None:
        return Consequences(decisions, outcome)
    if decision is None or decision.action != PAUSE:
        return Consequences(decisions, goes_on=True)
    promotion = policy.promotion_of(trial)
    if promotion is None:
        return Consequences(decisions)
    promoted = policy.decision_on(trial, PROMOTE, to_epoch=promotion.to_epoch)
    policy.promote(promotion)
    return Consequences((decision, promoted), goes_on=True)


def outcome_after(decision: Decision | None, *, epoch: int, max_epochs: int) -> Outcome | None:
    """The outcome of a trial after a result and its decision; None while it continues."""
    if epoch >= max_epochs:
        return Outcome.COMPLETED
    return Outcome.STOPPED_AT_RUNG if decision is not None and decision.action == STOP else None
