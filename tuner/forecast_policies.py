"""The schedule of a search, and the policy that a simulation of it plays.

The decisions are those of the search itself: its rungs, or its promoting policy with the quota, the wait for the first
values and the last trainings. Only the Gaussian process is left out, whose predictions say which trials go on, not how
many: here each trial is predicted to keep its last value.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuner.policy.actions import HalvingConfig, Policy
from tuner.policy.candidates import Candidate
from tuner.policy.promoting import PromotingPolicy
from tuner.policy.promotion import Promotions
from tuner.policy.stopping import RandomSampler, StoppingPolicy


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


def played_policy(schedule: Schedule) -> Policy:
    """More is better; the first trial is the default."""
    config = HalvingConfig(
        rung_epochs=schedule.rung_epochs,
        max_epochs=schedule.max_epochs,
        reduction_factor=schedule.reduction_factor,
        mode="max",
        slots=schedule.slots,
        seed=0,
        num_trials=schedule.num_trials,
    )
    source, first = _Numbers(), [_numbered(0)]
    if schedule.promotes:
        return PromotingPolicy(source, config, first=first, predictor=_LastValues())
    return StoppingPolicy(RandomSampler(source), config, first=first)


class _Numbers:
    """A source whose configurations are numbers, so large that each is new."""

    def any(self, generator: random.Random) -> Candidate:
        return _numbered(generator.getrandbits(64))

    def draw(self, generator: random.Random, *, near: Sequence[Candidate]) -> Sequence[Candidate]:
        return [self.any(generator)]


def _numbered(number: int) -> Candidate:
    return Candidate({"number": number}, {})


class _LastValues:
    """Stands in for the Gaussian process."""

    def __init__(self) -> None:
        self._trials: dict[frozenset, str] = {}

    def add(self, trial: str, candidate: Candidate) -> None:
        self._trials[candidate.identity] = trial

    def learn(self, promotions: Promotions) -> None:
        """Nothing is fitted."""

    def predict(self, promotions: Promotions, contenders: Sequence[str]) -> "_LastPrediction":
        last = {trial: value for epoch in promotions.rungs for trial, value in promotions.values_at(epoch).items()}
        return _LastPrediction({trial: last[trial] for trial in contenders}, self._trials)


@dataclass(frozen=True, slots=True)
class _LastPrediction:
    predicted: Mapping[str, float]
    trials: Mapping[frozenset, str]
    """By the identity of their configurations."""

    @property
    def best(self) -> list[str]:
        return sorted(self.predicted, key=self.predicted.__getitem__, reverse=True)

    def improvement(self, candidates: Sequence[Candidate]) -> list[float]:
        return [self.predicted.get(self.trials.get(candidate.identity), 0.0) for candidate in candidates]
