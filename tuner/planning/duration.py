"""How long a search will take: its schedule, played through with drawn trials on measured times.

What: slots take trials as they come free; every trial has the times of the measured configuration that is most like it,
and each epoch a value that is a hidden quality under noise; the policy decides as in the search.
Then the best and the default are trained again, over the same slots. Played many times, because who is stopped depends
on who came first, and on how much better the proposals get: a trial that beats all before it is stopped nowhere.
Cost: milliseconds a play.

The decisions are those of the search itself: its rungs, or its promoting policy with the quota, the wait for the first
values and the last trainings. Only the Gaussian process is left out, whose predictions say which trials go on, not how
many: here each trial is predicted to keep its last value.
"""

import heapq
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tuner.policy.actions import HalvingConfig, Policy
from tuner.policy.candidates import Candidate
from tuner.policy.promoting import PromotingPolicy
from tuner.policy.promotion import Promotions
from tuner.policy.simulation import SimulatedSearch, SimulatedTrial
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
        names = (self.trials.get(candidate.identity) for candidate in candidates)
        return [0.0 if name is None else self.predicted.get(name, 0.0) for name in names]


DEFAULT = 0
"""Number of the trial that everything is compared with."""

MOST_PLAYS, LEAST_PLAYS, TRIALS_PLAYED = 50, 5, 3000
"""The longer a search, the less it depends on chance, and the longer a play takes."""
MOST_LEARNED = 2.0
"""So that the middle is 1: 28 searches of five workloads under stopping rungs took .71 to 1.30 of the epochs that 1
gives, in the median 1.00; of what 0 gives, 1.13. Under promotion the quota says how many go on."""
_NOISE_OF_A_RUNG = 0.5
"""Of a value at a rung against the trial's quality, whose own spread is 1: ranks change, as they do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seconds:
    """What one configuration takes."""

    build: float = 0.0
    """Before the first epoch, and before the one after a pause."""
    training: float
    """An epoch's updates."""
    validation: float = 0.0
    """After each epoch."""
    checkpoint: float = 0.0
    """After each epoch."""

    @property
    def epoch(self) -> float:
        return self.training + self.validation + self.checkpoint

    def full_training(self, max_epochs: int) -> float:
        """Without checkpoints, and with a validation more: that on the test split."""
        return self.build + max_epochs * self.training + (max_epochs + 1) * self.validation


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """One search as it might go."""

    search_seconds: float
    confirm_seconds: float
    busy: Seconds
    """Sums over the slots of the search, by what they are spent on."""
    busy_seconds: float
    """Sum over the slots, confirmation included."""
    epochs: int
    trainings: int
    """Of the confirmation."""

    @property
    def seconds(self) -> float:
        return self.search_seconds + self.confirm_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The middle one of the plays, and the range of nine in ten."""

    middle: Play
    shortest_seconds: float
    longest_seconds: float


def forecast(
    schedule: Schedule,
    costs: Sequence[Seconds],
    *,
    first: Sequence[Seconds],
    process_seconds: float = 0.0,
    most_learned: float = MOST_LEARNED,
    seed: int = 0,
) -> Forecast:
    """Plays the search through.

    Args:
        costs: of configurations that are equally likely.
        first: of those that are tried first, the default before all.
        process_seconds: what each slot of the confirmation begins with, a process and its data.
        most_learned: by how many standard deviations the last proposal is better than the first at most; each play
            draws its own between 0 and this.
    """
    num_plays = max(LEAST_PLAYS, min(MOST_PLAYS, TRIALS_PLAYED // schedule.num_trials))
    generators = [random.Random(f"{seed} {play}") for play in range(num_plays)]
    plays = [
        _play(schedule, _drawn(schedule, costs, first, rng), process_seconds, rng, learned=rng.uniform(0, most_learned))
        for rng in generators
    ]
    plays.sort(key=lambda play: play.seconds)
    return Forecast(
        middle=plays[len(plays) // 2],
        shortest_seconds=plays[round(0.05 * (num_plays - 1))].seconds,
        longest_seconds=plays[round(0.95 * (num_plays - 1))].seconds,
    )


def _drawn(schedule: Schedule, costs: Sequence[Seconds], first: Sequence[Seconds], rng: random.Random) -> list[Seconds]:
    others = schedule.num_trials - len(first)
    return [*first[: schedule.num_trials], *(rng.choice(costs) for _ in range(others))]


def _play(
    schedule: Schedule, drawn: Sequence[Seconds], process_seconds: float, rng: random.Random, *, learned: float
) -> Play:
    qualities = [rng.gauss(learned * number / len(drawn), 1) for number in range(len(drawn))]
    values = [-math.inf for _ in drawn]

    def value(trial: SimulatedTrial) -> float:
        values[trial.number] = qualities[trial.number] + rng.gauss(0, _NOISE_OF_A_RUNG)
        return values[trial.number]

    search = SimulatedSearch(
        played_policy(schedule),
        slots=schedule.slots,
        max_epochs=schedule.max_epochs,
        value=value,
        seconds=lambda trial, begins: drawn[trial.number].epoch + begins * drawn[trial.number].build,
    )
    search.run()
    busy = _busy(search, drawn)
    trainings = _trainings(schedule, search, drawn, values)
    return Play(
        search_seconds=search.now,
        confirm_seconds=_over_slots(trainings, schedule.slots, process_seconds) if trainings else 0.0,
        busy=busy,
        busy_seconds=busy.build + busy.epoch + math.fsum(trainings),
        epochs=search.num_epochs,
        trainings=len(trainings),
    )


def _busy(search: SimulatedSearch, drawn: Sequence[Seconds]) -> Seconds:
    def total(times: Callable[[SimulatedTrial], int], part: str) -> float:
        return math.fsum(times(trial) * getattr(drawn[trial.number], part) for trial in search.trials)

    parts = ("training", "validation", "checkpoint")
    return Seconds(
        build=total(lambda trial: trial.legs, "build"),
        **{part: total(lambda trial: trial.epoch, part) for part in parts},
    )


def _trainings(
    schedule: Schedule, search: SimulatedSearch, drawn: Sequence[Seconds], values: Sequence[float]
) -> list[float]:
    """Seconds of each training of the confirmation: of the default, and the best that came to their full length."""
    complete = [trial.number for trial in search.trials if trial.epoch == schedule.max_epochs]
    others = sorted((trial for trial in complete if trial != DEFAULT), key=values.__getitem__, reverse=True)
    best = others[: schedule.confirm]
    compared = [DEFAULT, *best] if best else []
    return [drawn[trial].full_training(schedule.max_epochs) for trial in compared] * schedule.seeds


def _over_slots(trainings: Sequence[float], slots: int, first_seconds: float) -> float:
    """When the last one ends, each begun in turn on the slot that is free first."""
    free = [first_seconds] * slots
    for seconds in trainings:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)
