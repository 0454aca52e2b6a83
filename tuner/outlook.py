"""What is expected of each trial at full length, from all that was measured so far at any rung."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from tuner.candidates import Candidate, Encoding
from tuner.promotion import Promotions
from tuner.surrogate import GaussianProcess, expected_improvement, fitted_theta, standardised

MAX_RECORDS = 150
"""Values that the process is conditioned on, the higher rungs first: its cost grows with their cube."""
MAX_FITTED = 100
"""Of these, the first that the length scales are fitted to, which takes the process' cost some twenty times."""
REFIT_GROWTH = 1.25
"""The length scales are fitted anew when the records have grown so much."""
NUM_GOOD = 5
"""How many of the best-expected trials new configurations are drawn near."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """Expectations as they stand. Values are such that more is better."""

    process: GaussianProcess
    encoding: Encoding
    centre: float
    spread: float
    expected: dict[str, float]
    """At full length, by trial: those that may still win."""

    @property
    def best(self) -> list[str]:
        """The most promising first."""
        return sorted(self.expected, key=self.expected.__getitem__, reverse=True)

    def improvement(self, candidates: Sequence[Candidate]) -> np.ndarray:
        """By how much the value of each at full length is expected to exceed the best forecast [N]."""
        mean, deviation = self.process.mean_and_deviation(_with_epoch(self.encoding.encode(candidates), 1.0))
        return expected_improvement(mean, deviation, (max(self.expected.values()) - self.centre) / self.spread)


@dataclass(slots=True)
class Forecaster:
    """Makes outlooks, and keeps between them what takes long to find."""

    max_epochs: int
    encoding: Encoding = field(default_factory=Encoding)
    _points: dict[str, np.ndarray] = field(default_factory=dict)
    _theta: np.ndarray | None = None
    _fitted_to: int = 0

    def outlook(
        self, promotions: Promotions, candidates: Mapping[str, Candidate], contenders: Sequence[str]
    ) -> Outlook:
        """`contenders` are the trials that may still win."""
        self._encode(candidates)
        trials, epochs, values = _records(promotions)
        points = self._at(trials, epochs)
        scaled, centre, spread = standardised(values)
        self._fit(points, scaled, num_records=promotions.num_records)
        process = GaussianProcess.conditioned(points, scaled, self._theta)
        process = self._believing(process, points, scaled, promotions)
        means = process.mean(self._at(contenders, [self.max_epochs] * len(contenders)))
        expected = dict(zip(contenders, (centre + spread * means).tolist(), strict=True))
        return Outlook(process, self.encoding, centre, spread, expected)

    def _encode(self, candidates: Mapping[str, Candidate]) -> None:
        new = [trial for trial in candidates if trial not in self._points]
        if self.encoding.learn(candidates[trial] for trial in new):
            self._theta, self._fitted_to = None, 0
            new = list(candidates)
        if new:
            points = self.encoding.encode([candidates[trial] for trial in new])
            self._points.update(zip(new, points, strict=True))

    def _at(self, trials: Sequence[str], epochs: Sequence[int]) -> np.ndarray:
        places = np.array([self._place(epoch) for epoch in epochs])
        return _with_epoch(np.reshape([self._points[trial] for trial in trials], (len(trials), -1)), places)

    def _place(self, epoch: int) -> float:
        """1 at full length."""
        return math.log(epoch) / math.log(self.max_epochs) if self.max_epochs > 1 else 1.0

    def _fit(self, points: np.ndarray, values: np.ndarray, *, num_records: int) -> None:
        if self._theta is None or num_records >= REFIT_GROWTH * self._fitted_to:
            self._theta = fitted_theta(points[:MAX_FITTED], values[:MAX_FITTED], start=self._theta)
            self._fitted_to = num_records

    def _believing(
        self, process: GaussianProcess, points: np.ndarray, values: np.ndarray, promotions: Promotions
    ) -> GaussianProcess:
        """As if the running trials had already got what is expected of them, so that the next one differs from them."""
        running = promotions.running
        if not running:
            return process
        ahead = self._at(list(running), list(running.values()))
        believed = np.concatenate([values, process.mean(ahead)])
        return GaussianProcess.conditioned(np.concatenate([points, ahead]), believed, process.theta)


def _records(promotions: Promotions) -> tuple[list[str], list[int], np.ndarray]:
    """Of the higher rungs first, and of each rung the latest."""
    records = (
        (trial, epoch, value)
        for epoch in reversed(promotions.rungs)
        for trial, value in reversed(promotions.values_at(epoch).items())
    )
    trials, epochs, values = zip(*islice(records, MAX_RECORDS), strict=True)
    return list(trials), list(epochs), np.array(values)


def _with_epoch(points: np.ndarray, places: np.ndarray | float) -> np.ndarray:
    return np.column_stack([points, np.broadcast_to(places, len(points))])
