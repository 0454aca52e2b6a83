"""The policies of a search as a simulation of its schedule plays them: who gets a free slot, and who keeps one.

The decisions are those of the search itself: its rungs, or its promoting policy with the quota, the wait for the first
values and the last trainings. Only the Gaussian process is left out, whose forecasts say who goes on, not how many:
here each trial is expected to keep its last value.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tuner.policy.candidates import Candidate
from tuner.policy import Begin, Promote, PromotingPolicy, Terms
from tuner.policy.promotion import Promotions
from tuner.policy.rungs import STOP, Rungs

DEFAULT = 0
"""The first trial, which is trained to its full length whatever comes of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What is known of a search before it begins."""

    num_trials: int
    slots: int
    max_epochs: int
    rung_epochs: tuple[int, ...]
    reduction_factor: int
    promotes: bool = False
    """Trials wait at rungs; else they stop there, or, without rungs, never."""
    confirm: int = 0
    """How many of the best are trained again beside the default."""
    seeds: int = 3
    """Trainings of each."""


class PlayedPolicy(Protocol):
    """Trials are numbered as they begin."""

    def next_trial(self) -> int | None:
        """The trial that gets a free slot; None while nothing is left to do for one."""

    def keeps_slot(self, trial: int, *, epoch: int, value: float) -> bool:
        """Takes in one result; whether the trial goes on at once."""


def played_policy(schedule: Schedule) -> PlayedPolicy:
    return _Promoting(schedule) if schedule.promotes else _Stopping(schedule)


class _Stopping:
    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._rungs = Rungs(schedule.rung_epochs, reduction_factor=schedule.reduction_factor, mode="max")
        self._begun = 0

    def next_trial(self) -> int | None:
        if self._begun == self._schedule.num_trials:
            return None
        self._begun += 1
        return self._begun - 1

    def keeps_slot(self, trial: int, *, epoch: int, value: float) -> bool:
        decision = self._rungs.record(str(trial), epoch=epoch, value=value)
        is_stopped = decision is not None and decision.action == STOP and trial != DEFAULT
        return epoch < self._schedule.max_epochs and not is_stopped


class _Promoting:
    def __init__(self, schedule: Schedule) -> None:
        terms = Terms(
            rung_epochs=tuple(schedule.rung_epochs),
            max_epochs=schedule.max_epochs,
            reduction_factor=schedule.reduction_factor,
            mode="max",
            slots=schedule.slots,
            seed=0,
            num_trials=schedule.num_trials,
        )
        self._policy = PromotingPolicy(_Numbers(), terms, first=[_numbered(DEFAULT)], forecaster=_LastValues())
        self._max_epochs = schedule.max_epochs

    def next_trial(self) -> int | None:
        action = self._policy.action()
        if isinstance(action, Begin):
            number = action.candidate.params["number"]
            self._policy.begin(str(number), action.candidate)
            return number
        if isinstance(action, Promote):
            self._policy.promote(action)
            return int(action.trial)
        return None

    def keeps_slot(self, trial: int, *, epoch: int, value: float) -> bool:
        waits = self._policy.record(str(trial), epoch=epoch, value=value)
        if epoch == self._max_epochs:
            self._policy.end(str(trial))
        return not waits


class _Numbers:
    """A source whose configurations are numbers, each new."""

    def __init__(self) -> None:
        self._next = DEFAULT + 1

    def any(self, generator: random.Random) -> Candidate:
        self._next += 1
        return _numbered(self._next - 1)

    def draw(self, generator: random.Random, *, near: Sequence[Candidate]) -> Sequence[Candidate]:
        return [self.any(generator)]


def _numbered(number: int) -> Candidate:
    return Candidate({"number": number}, {})


class _LastValues:
    """Stands in for the forecaster of the promoting policy."""

    def outlook(
        self, promotions: Promotions, candidates: Mapping[str, Candidate], contenders: Sequence[str]
    ) -> "_Standing":
        last = {trial: value for epoch in promotions.rungs for trial, value in promotions.values_at(epoch).items()}
        return _Standing({trial: last[trial] for trial in contenders})


@dataclass(frozen=True, slots=True)
class _Standing:
    """Stands in for an outlook."""

    expected: dict[str, float]

    @property
    def best(self) -> list[str]:
        return sorted(self.expected, key=self.expected.__getitem__, reverse=True)

    def improvement(self, candidates: Sequence[Candidate]) -> list[float]:
        return [self.expected.get(str(candidate.params["number"]), 0.0) for candidate in candidates]
