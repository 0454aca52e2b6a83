"""One search on recorded curves: the simulated search with the values and times of a problem."""

import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.replay.problems import Curve, Problem
from tuner.policy.policy import Policy
from tuner.policy.simulation import SimulatedSearch, SimulatedTrial


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a search that begins no other trial: who wins, and how many epochs are trained until then."""

    winner: SimulatedTrial
    missing_epochs: int


class ReplayedSearch(SimulatedSearch):
    """Runs a policy on a problem.

    Args:
        noise: standard deviation of what is added to each value, as a share of the configurations' spread at its epoch.
        seed: of the noise, which every policy finds alike in a configuration.
    """

    def __init__(self, problem: Problem, policy: Policy, *, slots: int, noise: float = 0.0, seed: int = 0) -> None:
        super().__init__(
            policy, slots=slots, max_epochs=problem.max_epochs, value=self._value_of, seconds=self._seconds_of
        )
        self.problem, self._noise, self._seed = problem, noise, seed
        self._curves: dict[int, Curve] = {}

    def end_with_best_value(self) -> Ending | None:
        """The trial with the best value at any epoch wins, and is trained to its full length."""
        return self._end(max(self._measured(), key=lambda trial: self._goodness(trial).max(), default=None))

    def end_with_best_at_top(self) -> Ending | None:
        """The best of the trials that reached the highest epoch wins, and is trained to its full length."""
        measured = self._measured()
        top = max((trial.epoch for trial in measured), default=0)
        furthest = (trial for trial in measured if trial.epoch == top)
        return self._end(max(furthest, key=lambda trial: self._goodness(trial)[-1], default=None))

    def end_with_finalists(self, names: Sequence[str]) -> Ending | None:
        """The finalists are trained to their full length, as at the end of a search, and the best value there wins."""
        full = [trial for trial in self.trials if trial.epoch == self.problem.max_epochs]
        finalists = [self.trial(name) for name in names]
        finite = [trial for trial in (*finalists, *full) if math.isfinite(self._curve(trial).values[-1])]
        best = max(finite, key=lambda trial: self._sign * self._curve(trial).values[-1], default=None)
        return self._end(best, trained=finalists)

    def _end(self, winner: SimulatedTrial | None, *, trained: Iterable[SimulatedTrial] | None = None) -> Ending | None:
        if winner is None:
            return None
        lengths = (self.problem.max_epochs - trial.epoch for trial in (trained or (winner,)))
        return Ending(winner, sum(lengths))

    def _measured(self) -> list[SimulatedTrial]:
        return [trial for trial in self.trials if trial.epoch and math.isfinite(self._value_of(trial))]

    def _goodness(self, trial: SimulatedTrial) -> np.ndarray:
        return self._sign * self._curve(trial).values[: trial.epoch]

    @property
    def _sign(self) -> float:
        return 1.0 if self.problem.mode == "max" else -1.0

    def _value_of(self, trial: SimulatedTrial) -> float:
        return float(self._curve(trial).values[trial.epoch - 1])

    def _seconds_of(self, trial: SimulatedTrial, begins: bool) -> float:
        times = self._curve(trial).times
        return float(times[trial.epoch] - (times[trial.epoch - 1] if trial.epoch else 0.0))

    def _curve(self, trial: SimulatedTrial) -> Curve:
        if trial.number not in self._curves:
            params = trial.candidate.params
            curve = self.problem.curve(params)
            self._curves[trial.number] = self._blurred(curve, params) if self._noise else curve
        return self._curves[trial.number]

    def _blurred(self, curve: Curve, params: dict) -> Curve:
        generator = np.random.default_rng([zlib.crc32(repr(sorted(params.items())).encode()), self._seed])
        spread = self._noise * self.problem.spread_by_epoch
        return Curve(curve.values + spread * generator.normal(size=len(spread)), curve.times)
