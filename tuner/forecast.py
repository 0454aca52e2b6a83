"""How long a search will take: its schedule, played through with drawn trials on measured times.

What: slots take trials as they come free; every trial has the times of the measured configuration that is most like it,
and each epoch a value that is a hidden quality under noise; the policy decides as in the search.
Then the best and the default are trained again, over the same slots. Played many times, because who is stopped depends
on who came first, and on how much better the proposals get: a trial that beats all before it is stopped nowhere.
Cost: milliseconds a play.
"""

import heapq
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from tuner.forecast_policies import DEFAULT, Schedule, played_policy

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
    """Before the first epoch, and before one that a waiting trial goes on with."""
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
    search = _Search(schedule, drawn, rng, learned=learned)
    search.run()
    trainings = [drawn[trial].full_training(schedule.max_epochs) for trial in search.confirmed()] * schedule.seeds
    busy = search.busy()
    return Play(
        search_seconds=search.now,
        confirm_seconds=_over_slots(trainings, schedule.slots, process_seconds) if trainings else 0.0,
        busy=busy,
        busy_seconds=busy.build + busy.epoch + math.fsum(trainings),
        epochs=sum(search.epochs),
        trainings=len(trainings),
    )


class _Search:
    """One play. Events are epochs, in the order in which they end."""

    def __init__(self, schedule: Schedule, drawn: Sequence[Seconds], rng: random.Random, *, learned: float) -> None:
        self._schedule, self._drawn, self._rng = schedule, drawn, rng
        self._policy = played_policy(schedule)
        self._running: list[tuple[float, int]] = []
        self._qualities = [rng.gauss(learned * number / len(drawn), 1) for number in range(len(drawn))]
        self._values = [-math.inf for _ in drawn]
        self._begins = [0 for _ in drawn]
        self.epochs = [0 for _ in drawn]
        self.now = 0.0

    def run(self) -> None:
        self._fill()
        while self._running:
            self.now, trial = heapq.heappop(self._running)
            self.epochs[trial] += 1
            self._values[trial] = self._qualities[trial] + self._rng.gauss(0, _NOISE_OF_A_RUNG)
            if self._policy.keeps_slot(trial, epoch=self.epochs[trial], value=self._values[trial]):
                self._expect(trial)
            self._fill()

    def confirmed(self) -> list[int]:
        """The default, and the best of those that came to their full length."""
        complete = [trial for trial, epochs in enumerate(self.epochs) if epochs == self._schedule.max_epochs]
        others = sorted((trial for trial in complete if trial != DEFAULT), key=self._values.__getitem__, reverse=True)
        best = others[: self._schedule.confirm]
        return [DEFAULT, *best] if best else []

    def busy(self) -> Seconds:
        return Seconds(
            build=self._sum(self._begins, "build"),
            training=self._sum(self.epochs, "training"),
            validation=self._sum(self.epochs, "validation"),
            checkpoint=self._sum(self.epochs, "checkpoint"),
        )

    def _sum(self, counts: Sequence[int], part: str) -> float:
        return math.fsum(times * getattr(one, part) for times, one in zip(counts, self._drawn, strict=True))

    def _fill(self) -> None:
        while len(self._running) < self._schedule.slots and (trial := self._policy.next_trial()) is not None:
            self._begins[trial] += 1
            self._expect(trial, after=self._drawn[trial].build)

    def _expect(self, trial: int, *, after: float = 0.0) -> None:
        heapq.heappush(self._running, (self.now + after + self._drawn[trial].epoch, trial))


def _over_slots(trainings: Sequence[float], slots: int, first_seconds: float) -> float:
    """When the last one ends, each begun in turn on the slot that is free first."""
    free = [first_seconds] * slots
    for seconds in trainings:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)
