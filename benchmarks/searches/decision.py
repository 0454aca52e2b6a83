"""The promoting policy's time per decision about a free slot, as the number of trials grows.

Simulated trials pass through the policy alone, four at a time, over the space and with the learning curves of the
driver's benchmark. The policy makes every decision itself, as in a search. The time of a decision includes all that the
policy did since the last one, such as fitting. CPU time is measured, which a busy machine distorts less than wall time.
"""

import gc
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random

import numpy as np

from benchmarks.claims import OURS, Claim, sides_of
from benchmarks.harness import Size
from benchmarks.searches.simulated_search import MAX_EPOCHS, REDUCTION, RUNG_EPOCHS, space
from tuner.policy.candidates import Candidate, CandidateSource, SpaceSource
from tuner.policy.decision import PROMOTE, Decision
from tuner.policy.halving import HalvingConfig
from tuner.policy.outcomes import Outcome
from tuner.policy.policy import Promote, Work
from tuner.policy.schedulers.promoting import PromotingPolicy
from tuner.policy.simulation import SimulatedSearch, SimulatedTrial

SLOTS = 4
NUM_MEASURED = 200
"""Number of decisions before each count that are measured."""
MAX_GROWTH = 4.0
"""Largest growth of the mean from the first count to the last, which is ten times as many."""


def measure(size: Size) -> list[Claim]:
    counts = size.pick((100, 1_000), (5, 10))
    with collecting_only_new_garbage():
        milliseconds = decision_ms(counts)
    numbers = {f"{OURS}, {count} trials": own for count, own in milliseconds.items()}
    early, latest = milliseconds[counts[0]], milliseconds[counts[-1]]
    growth = np.mean(latest) / np.mean(early)
    return [
        Claim(
            number=8,
            work="the driver: a decision of the promoting policy",
            unit="ms",
            sides=sides_of(numbers),
            reference=f"{OURS}, {counts[0]} trials",
            target=f"at most {MAX_GROWTH:.0f} times from {counts[0]} to {counts[-1]} trials",
            finding=f"{growth:.1f} times, to {np.mean(latest):.1f} ms on average and {max(latest):.1f} at worst",
            reached=bool(growth <= MAX_GROWTH),
        )
    ]


@contextmanager
def collecting_only_new_garbage() -> Iterator[None]:
    """Freezes the modules, as a search does, so that the garbage collector does not walk through them."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def decision_ms(counts: Sequence[int]) -> dict[int, tuple[float, ...]]:
    """Milliseconds of the last decisions before each count."""
    config = HalvingConfig(
        rung_epochs=RUNG_EPOCHS, max_epochs=MAX_EPOCHS, reduction_factor=REDUCTION, mode="max", slots=SLOTS, seed=0
    )
    policy = TimedPolicy(SpaceSource(space), config)
    curves, noise = Random(0), Random(1)
    levels: dict[int, float] = {}

    def value(trial: SimulatedTrial) -> float:
        level = levels.setdefault(trial.number, curves.gauss(0.8, 0.05))
        return level - 0.4 * math.exp(-trial.epoch / 3) + noise.gauss(0, 0.01)

    search = SimulatedSearch(policy, slots=SLOTS, max_epochs=MAX_EPOCHS, value=value, seconds=lambda trial, begins: 1.0)
    found = {}
    for count in counts:
        while len(search.trials) < count:
            search.run(search.num_epochs + 1)
        found[count] = tuple(1e3 * seconds for seconds in policy.seconds[-NUM_MEASURED:])
    return found


class TimedPolicy(PromotingPolicy):
    """Records the time of each decision."""

    def __init__(self, source: CandidateSource, config: HalvingConfig) -> None:
        super().__init__(source, config)
        self.seconds: list[float] = []
        self._spent = 0.0

    def next_work(self) -> Work:
        with self._timed():
            return super().next_work()

    def start(self, trial: str, candidate: Candidate) -> None:
        with self._timed():
            super().start(trial, candidate)
        self._decided()

    def promote(self, promotion: Promote) -> None:
        with self._timed():
            self.decision_on(promotion.trial, PROMOTE)
            super().promote(promotion)
        self._decided()

    def report(self, trial: str, *, epoch: int, value: float) -> Decision | None:
        with self._timed():
            return super().report(trial, epoch=epoch, value=value)

    def end(self, trial: str, outcome: Outcome) -> None:
        with self._timed():
            super().end(trial, outcome)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began = time.process_time()
        yield
        self._spent += time.process_time() - began

    def _decided(self) -> None:
        self.seconds.append(self._spent)
        self._spent = 0.0
