"""The predicted value of each trial at full length, from all that was measured so far at any rung.

The state depends on nothing but what was told: length scales are fitted when the number of values has grown by a
quarter, or a parameter is new, not when somebody asks. So a resumed search, which tells it all again, predicts what the
old one did.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

import numpy as np

from tuner.policy.candidates import Candidate, Encoding
from tuner.policy.promotion import Promotions
from tuner.policy.surrogate import GaussianProcess, expected_improvement, fitted_theta, prior_theta, standardised

MAX_RECORDS = 150
"""Values that the process is conditioned on, the higher rungs first: its cost grows with their cube."""
MAX_FITTED = 100
"""Of these, the first that the length scales are fitted to, which takes the process' cost some twenty times."""
REFIT_GROWTH = 1.25
"""The length scales are fitted again when the number of values has grown so much."""
NUM_GOOD = 5
"""How many of the trials with the best predictions new configurations are drawn near."""


class Prediction(Protocol):
    """Predictions as they stand. Values are such that more is better."""

    @property
    def predicted(self) -> Mapping[str, float]:
        """At full length, by trial: those that may still win."""

    @property
    def best(self) -> Sequence[str]:
        """Trials, the best prediction first."""

    def improvement(self, candidates: Sequence[Candidate]) -> Sequence[float] | np.ndarray:
        """By how much each is expected to exceed the best prediction [N]."""


class Predictor(Protocol):
    """Learns from what a policy is told, and predicts."""

    def add(self, trial: str, candidate: Candidate) -> None:
        """The trial begins; `learn` follows."""

    def learn(self, promotions: Promotions) -> None:
        """Trials or values have changed."""

    def predict(self, promotions: Promotions, contenders: Sequence[str]) -> Prediction:
        """`contenders` are the trials that may still win, at least one of which was measured."""


@dataclass(frozen=True, slots=True)
class ProcessPrediction:
    """The predictions of a Gaussian process."""

    process: GaussianProcess
    encoding: Encoding
    centre: float
    spread: float
    predicted: dict[str, float]

    @property
    def best(self) -> list[str]:
        return sorted(self.predicted, key=self.predicted.__getitem__, reverse=True)

    def improvement(self, candidates: Sequence[Candidate]) -> np.ndarray:
        mean, deviation = self.process.mean_and_deviation(_with_epoch(self.encoding.encode(candidates), 1.0))
        return expected_improvement(mean, deviation, (max(self.predicted.values()) - self.centre) / self.spread)


@dataclass(slots=True)
class ProcessPredictor:
    """A Gaussian process over configurations and epochs, and what of it takes long to find."""

    max_epochs: int
    encoding: Encoding = field(default_factory=Encoding)
    _candidates: dict[str, Candidate] = field(default_factory=dict)
    _points: dict[str, np.ndarray] = field(default_factory=dict)
    _theta: np.ndarray | None = None
    _num_fitted: int = 0

    def add(self, trial: str, candidate: Candidate) -> None:
        self._candidates[trial] = candidate
        new = [trial]
        if self.encoding.learn([candidate]):
            self._theta, self._num_fitted = None, 0
            new = list(self._candidates)
        points = self.encoding.encode([self._candidates[one] for one in new])
        self._points.update(zip(new, points, strict=True))

    def learn(self, promotions: Promotions) -> None:
        num_records = promotions.num_records
        if num_records and (self._theta is None or num_records >= REFIT_GROWTH * self._num_fitted):
            points, scaled, _, _ = self._observed(promotions)
            self._theta = fitted_theta(points[:MAX_FITTED], scaled[:MAX_FITTED], start=self._theta)
            self._num_fitted = num_records

    def predict(self, promotions: Promotions, contenders: Sequence[str]) -> ProcessPrediction:
        points, scaled, centre, spread = self._observed(promotions)
        process = GaussianProcess.conditioned(points, scaled, self._theta_for(points))
        process = self._believing(process, points, scaled, promotions)
        means = process.mean(self._at(contenders, [self.max_epochs] * len(contenders)))
        predicted = dict(zip(contenders, (centre + spread * means).tolist(), strict=True))
        return ProcessPrediction(process, self.encoding, centre, spread, predicted)

    def _theta_for(self, points: np.ndarray) -> np.ndarray:
        """What is most probable before anything was learned, until then."""
        return prior_theta(points.shape[1]) if self._theta is None else self._theta

    def _observed(self, promotions: Promotions) -> tuple[np.ndarray, np.ndarray, float, float]:
        """Points [N, D], scaled values [N], and the centre and spread they were scaled by."""
        trials, epochs, values = _records(promotions)
        return self._at(trials, epochs), *standardised(values)

    def _at(self, trials: Sequence[str], epochs: Sequence[int]) -> np.ndarray:
        places = np.array([self._place(epoch) for epoch in epochs])
        return _with_epoch(np.reshape([self._points[trial] for trial in trials], (len(trials), -1)), places)

    def _place(self, epoch: int) -> float:
        """1 at full length."""
        return math.log(epoch) / math.log(self.max_epochs) if self.max_epochs > 1 else 1.0

    def _believing(
        self, process: GaussianProcess, points: np.ndarray, values: np.ndarray, promotions: Promotions
    ) -> GaussianProcess:
        """As if the running trials had already got what is predicted for them, so that the next one differs."""
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
        for trial, value in reversed(list(promotions.values_at(epoch).items()))
    )
    trials, epochs, values = zip(*islice(records, MAX_RECORDS), strict=True)
    return list(trials), list(epochs), np.array(values)


def _with_epoch(points: np.ndarray, places: np.ndarray | float) -> np.ndarray:
    return np.column_stack([points, np.broadcast_to(places, len(points))])
