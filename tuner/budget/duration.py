"""Estimates the duration of a search by simulating it with random trials and measured times.

What: free slots take trials; every trial has the times of the most similar measured configuration, and each epoch's
value is a hidden quality plus noise; the policy decides as in the search. Then the best and the default are retrained
on the same slots. It is simulated many times, because stops depend on the order of the trials and on how much better
the proposals get: a trial that beats all before it is never stopped.
Cost: milliseconds per simulation.

The policy is the search's own: its rungs, or its promotion with the quota, the start-up values and the last trainings.
Only the Gaussian process is replaced: its predictions decide which trials continue, not how many; here each trial is
predicted to keep its last value.
"""

import heapq
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tuner.policy.candidates import Candidate
from tuner.policy.halving import HalvingConfig
from tuner.policy.policy import Policy
from tuner.policy.samplers.prediction import LastValues
from tuner.policy.samplers.sampler import RandomSampler
from tuner.policy.schedulers.promoting import PromotingPolicy
from tuner.policy.schedulers.stopping import StoppingPolicy
from tuner.policy.simulation import SimulatedSearch, SimulatedTrial
from tuner.records.confirm_seeds import THREE_SEEDS, ConfirmSeeds

DEFAULT = 0
"""Number of the default trial."""
MOST_PLAYS, LEAST_PLAYS, TRIALS_PLAYED = 50, 5, 3000
"""Number of simulations: a longer search depends less on chance, and takes longer to simulate."""
MOST_LEARNED = 2.0
"""Gives a mean of 1: 28 searches of five workloads under stopping rungs took 0.71 to 1.30 times the epochs simulated
with 1, median 1.00, and 1.13 times those with 0. Under promotion the quota sets how many continue."""
NOISE_OF_A_RUNG = 0.5
"""Standard deviation of a value around the trial's quality, whose own is 1, so that ranks change between rungs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchShape:
    """Size of a search, as known before it starts."""

    num_trials: int
    slots: int
    max_epochs: int
    rung_epochs: tuple[int, ...]
    reduction_factor: int
    promotes: bool = False
    """Trials wait at rungs; otherwise poor ones stop there."""
    confirm: int = 0
    """Number of best trials that are retrained with the default."""
    seeds: ConfirmSeeds = THREE_SEEDS
    """Trainings of each; how many more the undecided pair takes is unknown, so each simulation draws it."""


def simulated_policy(shape: SearchShape) -> Policy:
    """The search's policy on numbered configurations; higher is better, the first trial is the default."""
    config = HalvingConfig(
        rung_epochs=shape.rung_epochs,
        max_epochs=shape.max_epochs,
        reduction_factor=shape.reduction_factor,
        mode="max",
        slots=shape.slots,
        seed=0,
        num_trials=shape.num_trials,
    )
    source, first = _Numbers(), [numbered(0)]
    if shape.promotes:
        return PromotingPolicy(source, config, first=first, predictor=LastValues())
    return StoppingPolicy(RandomSampler(source), config, first=first)


class _Numbers:
    """A source whose configurations are random numbers, so large that each is new."""

    def any(self, generator: random.Random) -> Candidate:
        return numbered(generator.getrandbits(64))

    def pool(self, seed: int) -> "_Numbers":
        return self

    def draw(self, number: int, generator: random.Random, *, near: Sequence[Candidate]) -> Sequence[Candidate]:
        return [self.any(generator)]


def numbered(number: int) -> Candidate:
    return Candidate({"number": number}, {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Seconds:
    """Seconds of one configuration."""

    build: float = 0.0
    """Seconds before the first epoch, and before the first one after a pause."""
    training: float
    """Updates of one epoch."""
    validation: float = 0.0
    """Seconds after each epoch."""
    checkpoint: float = 0.0
    """Seconds after each epoch."""

    @property
    def epoch(self) -> float:
        return self.training + self.validation + self.checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """One simulated search."""

    search_seconds: float
    confirm_seconds: float
    busy: Seconds
    """Sums over the slots of the search, without the confirmation."""
    busy_seconds: float
    """Sum over the slots, with the confirmation."""
    epochs: int
    trainings: int
    """Number of trainings of the confirmation."""

    @property
    def seconds(self) -> float:
        return self.search_seconds + self.confirm_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class DurationEstimate:
    """The median simulation, and the 5 % and 95 % quantiles of the duration."""

    median: Play
    shortest_seconds: float
    longest_seconds: float


def estimate_duration(
    shape: SearchShape,
    costs: Sequence[Seconds],
    *,
    first: Sequence[Seconds],
    process_seconds: float = 0.0,
    most_learned: float = MOST_LEARNED,
    most_plays: int = MOST_PLAYS,
) -> DurationEstimate:
    """Simulates the search many times.

    Args:
        costs: times of equally likely configurations.
        first: times of the configurations that are tried first, the default first.
        process_seconds: start of a process and its data, once per slot of the confirmation.
        most_learned: largest improvement from the first to the last proposal, in standard deviations; each simulation
            draws its own between 0 and this.
        most_plays: number of simulations; long searches get fewer.
    """
    num_plays = max(LEAST_PLAYS, min(most_plays, TRIALS_PLAYED // shape.num_trials))
    generators = [random.Random(f"0 {play}") for play in range(num_plays)]
    first, num_others = first[: shape.num_trials], shape.num_trials - len(first)
    plays = []
    for rng in generators:
        drawn = [*first, *(rng.choice(costs) for _ in range(num_others))]
        plays.append(_play(shape, drawn, process_seconds, rng, learned=rng.uniform(0, most_learned)))
    plays.sort(key=lambda play: play.seconds)
    return DurationEstimate(
        median=plays[len(plays) // 2],
        shortest_seconds=plays[round(0.05 * (num_plays - 1))].seconds,
        longest_seconds=plays[round(0.95 * (num_plays - 1))].seconds,
    )


class NoisyValues:
    """Draws the values of simulated trials around their hidden qualities.

    Attributes:
        last: the last value of each trial, by number.
    """

    def __init__(self, qualities: Sequence[float], rng: random.Random) -> None:
        self._qualities, self._rng = qualities, rng
        self.last = [-math.inf for _ in qualities]

    def draw(self, trial: SimulatedTrial) -> float:
        self.last[trial.number] = self._qualities[trial.number] + self._rng.gauss(0, NOISE_OF_A_RUNG)
        return self.last[trial.number]


def _play(
    shape: SearchShape, drawn: Sequence[Seconds], process_seconds: float, rng: random.Random, *, learned: float
) -> Play:
    values = NoisyValues([rng.gauss(learned * number / len(drawn), 1) for number in range(len(drawn))], rng)
    search = SimulatedSearch(
        simulated_policy(shape),
        slots=shape.slots,
        max_epochs=shape.max_epochs,
        value=values.draw,
        seconds=lambda trial, begins: drawn[trial.number].epoch + begins * drawn[trial.number].build,
    )
    search.run()
    busy = _busy(search, drawn)
    batches = confirmation_batches(shape, search, drawn, values.last, rng)
    trainings = [seconds for batch in batches for seconds in batch]
    return Play(
        search_seconds=search.now,
        confirm_seconds=confirmation_seconds(batches, slots=shape.slots, process_seconds=process_seconds),
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


def confirmation_batches(
    shape: SearchShape, search: SimulatedSearch, drawn: Sequence[Seconds], values: Sequence[float], rng: random.Random
) -> list[list[float]]:
    """Seconds of each training of the confirmation, in batches that wait for one another.

    First the default and the best that reached full length; then pairs of the default and the best of them.
    """
    complete = [trial.number for trial in search.trials if trial.epoch == shape.max_epochs]
    others = sorted((trial for trial in complete if trial != DEFAULT), key=values.__getitem__, reverse=True)
    best = others[: shape.confirm]
    if not best:
        return []
    # Without checkpoints, and with one more evaluation, on the test split.
    epochs, chosen = shape.max_epochs, [drawn[trial] for trial in (DEFAULT, *best)]
    seconds = [one.build + epochs * one.training + (epochs + 1) * one.validation for one in chosen]
    return [
        seconds * shape.seeds.first,
        *(
            seconds[:2] * pairs
            for pairs in batches_of_pairs(rng.randint(0, shape.seeds.last - shape.seeds.first), slots=shape.slots)
        ),
    ]


def batches_of_pairs(further_seeds: int, *, slots: int) -> list[int]:
    """Number of pairs of each batch: as many as are trained at once."""
    at_once = max(1, slots // 2)
    return [min(at_once, further_seeds - done) for done in range(0, further_seeds, at_once)]


def confirmation_seconds(batches: Sequence[Sequence[float]], *, slots: int, process_seconds: float) -> float:
    """Seconds of batches that wait for one another; each slot starts a process once."""
    return math.fsum(
        makespan(batch, [0.0 if index else process_seconds] * slots) for index, batch in enumerate(batches)
    )


def makespan(trainings: Sequence[float], free: Sequence[float]) -> float:
    """Time at which the last training ends, if each starts in turn on the first free slot.

    Args:
        free: time at which each slot becomes free.
    """
    free = sorted(free)
    for seconds in trainings:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)
