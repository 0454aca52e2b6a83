"""What the promoting policy takes to decide about a free slot, as trials add up.

Simulated trials pass through the policy alone, four at a time, over the space and on the kind of learning curves that
the driver is measured on. The policy makes every decision itself, so that its history is a search's. Counted is the
processor's time, which a busy machine stretches less than the clock's.
"""

import gc
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from benchmarks.claims import OURS, Claim, sides_of
from benchmarks.harness import Size
from benchmarks.simulated_search import MAX_EPOCHS, REDUCTION, RUNG_EPOCHS, space
from tuner.candidates import SpaceSource
from tuner.policy import Begin, Promote, PromotingPolicy, Rest, Terms

SLOTS = 4
NUM_MEASURED = 200
"""The decisions before each count."""
MAX_DECISION_MS = 50.0


def measure(size: Size) -> list[Claim]:
    counts = size.pick((100, 1_000), (5, 10))
    with collecting_only_new_garbage():
        milliseconds = decision_ms(counts)
    numbers = {f"{OURS}, {count} trials": own for count, own in milliseconds.items()}
    latest = milliseconds[counts[-1]]
    return [
        Claim(
            number=8,
            work="the driver: a decision of the promoting policy",
            unit="ms",
            sides=sides_of(numbers),
            reference=f"{OURS}, {counts[0]} trials",
            target=f"at most {MAX_DECISION_MS:.0f} ms at {counts[-1]} trials",
            finding=f"mean {np.mean(latest):.1f}, 95th percentile {np.percentile(latest, 95):.1f}, at worst "
            f"{max(latest):.1f} ms at {counts[-1]} trials",
            reached=max(latest) <= MAX_DECISION_MS,
        )
    ]


@contextmanager
def collecting_only_new_garbage() -> Iterator[None]:
    """Modules are set aside, as a search does: walking through them, once in some hundred trials, is no decision."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def decision_ms(counts: Sequence[int]) -> dict[int, tuple[float, ...]]:
    """Of the last decisions before each count."""
    simulation, found = Simulation(), {}
    for count in counts:
        simulation.run_until(count)
        found[count] = tuple(1e3 * seconds for seconds in simulation.seconds[-NUM_MEASURED:])
    return found


@dataclass(slots=True, eq=False)
class Training:
    """A trial with its learning curve."""

    name: str
    level: float
    epoch: int = 0


@dataclass(slots=True)
class Simulation:
    """A search without end, whose trials advance an epoch each in turn."""

    seconds: list[float] = field(default_factory=list)
    """Of each decision."""
    _policy: PromotingPolicy = field(init=False)
    _trials: dict[str, Training] = field(default_factory=dict)
    _running: list[Training] = field(default_factory=list)
    _rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def __post_init__(self) -> None:
        rungs = {"rung_epochs": RUNG_EPOCHS, "max_epochs": MAX_EPOCHS, "reduction_factor": REDUCTION}
        self._policy = PromotingPolicy(SpaceSource(space), Terms(**rungs, mode="max", slots=SLOTS, seed=0))

    def run_until(self, num_trials: int) -> None:
        while len(self._trials) < num_trials:
            began = time.process_time()
            action = self._policy.action()
            spent = time.process_time() - began
            if action is Rest.WAIT:
                self._advance(self._running.pop(0))
            else:
                self.seconds.append(spent)
                self._obey(action)

    def _obey(self, action: Begin | Promote) -> None:
        if isinstance(action, Promote):
            self._policy.promote(action)
            self._running.append(self._trials[action.trial])
            return
        trial = Training(f"t{len(self._trials):05d}", self._rng.normal(0.8, 0.05))
        self._policy.begin(trial.name, action.candidate)
        self._trials[trial.name] = trial
        self._running.append(trial)

    def _advance(self, trial: Training) -> None:
        trial.epoch += 1
        value = trial.level - 0.4 * math.exp(-trial.epoch / 3) + self._rng.normal(0, 0.01)
        if not self._policy.record(trial.name, epoch=trial.epoch, value=float(value)):
            self._running.append(trial)
        elif trial.epoch == MAX_EPOCHS:
            self._policy.end(trial.name)
