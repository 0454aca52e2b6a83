"""What a policy answers, and what every policy can be told."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from tuner.policy.candidates import Candidate
from tuner.policy.decision import PAUSE, PROMOTE, STOP, Decision
from tuner.policy.direction import sign_of
from tuner.policy.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class Start:
    """Try this configuration."""

    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Promote:
    """Go on with this waiting trial, to the next rung or as far as said."""

    trial: str
    to_epoch: int | None = None


class NoWork(Enum):
    """Why a free slot gets no work."""

    WAIT = "wait"
    """A running trial must report first."""
    FINISHED = "finished"
    """No trial is left to start or promote."""


Action = Start | Promote | NoWork


@dataclass(frozen=True, slots=True, kw_only=True)
class HalvingConfig:
    """What a search keeps to, from start to end."""

    rung_epochs: tuple[int, ...]
    """Where trials are compared, ascending; empty: every trial trains to its full length."""
    max_epochs: int
    """The full length of a trial."""
    reduction_factor: int
    """One in so many goes on from a rung."""
    mode: str
    """`max` or `min`: which values are better."""
    slots: int
    """Trials at a time."""
    seed: int
    num_trials: int | None = None
    """Configurations to try; None for no end."""

    @property
    def sign(self) -> float:
        """Turns objectives into numbers of which more is better, and back."""
        return sign_of(self.mode)


class Policy(Protocol):
    """Decides, and remembers what it was told; trials are known by their names."""

    @property
    def paused(self) -> Mapping[str, int]:
        """The waiting trials and the epoch at which each waits."""

    def action(self) -> Action:
        """For the next free slot; unchanged until the policy is told something."""

    def start(self, trial: str, candidate: Candidate) -> None:
        """A new trial starts."""

    def promote(self, promotion: Promote) -> None:
        """A waiting trial goes on."""

    def record(self, trial: str, *, epoch: int, value: float) -> Decision | None:
        """Takes in a finite result, a repeated one once; None where there is nothing to decide."""

    def explain(self, trial: str, action: str, *, to_epoch: int | None = None) -> Decision:
        """The numbers behind promoting or stopping a waiting trial; to be asked before it is told."""

    def end(self, trial: str, outcome: Outcome) -> None:
        """The trial is over."""

    def add_past_trial(self, trial: str, candidate: Candidate, values: Mapping[int, float], outcome: Outcome) -> None:
        """A trial of another search, with its objectives by epoch: known from the start, and can't win."""

    def eviction_candidate(self, *, kept: Collection[str]) -> str | None:
        """The waiting trial to stop first when disk space runs out; those in `kept` are excluded."""


@dataclass(frozen=True, slots=True)
class Step:
    """What follows from a result."""

    decisions: tuple[Decision, ...] = ()
    outcome: Outcome | None = None
    """How the trial ended with it; None while it may go on."""
    goes_on: bool = False
    """Whether it trains on at once."""


def take_result(policy: Policy, trial: str, *, epoch: int, value: float, max_epochs: int) -> Step:
    """Tells the policy a finite result; a trial that pauses and would be promoted next goes on at once.

    Where the step has an outcome, the caller ends the trial.
    """
    decision = policy.record(trial, epoch=epoch, value=value)
    decisions = () if decision is None else (decision,)
    outcome = outcome_after(decision, epoch=epoch, max_epochs=max_epochs)
    if outcome is not None:
        return Step(decisions, outcome)
    if decision is None or decision.action != PAUSE:
        return Step(decisions, goes_on=True)
    action = policy.action()
    if isinstance(action, Promote) and action.trial == trial:
        promoted = policy.explain(trial, PROMOTE, to_epoch=action.to_epoch)
        policy.promote(action)
        return Step((decision, promoted), goes_on=True)
    return Step(decisions)


def outcome_after(decision: Decision | None, *, epoch: int, max_epochs: int) -> Outcome | None:
    """How a trial ended with a result and what was decided about it; None when it did not."""
    if epoch >= max_epochs:
        return Outcome.COMPLETED
    return Outcome.STOPPED_AT_RUNG if decision is not None and decision.action == STOP else None
