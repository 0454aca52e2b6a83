"""Predicts the value of each trial at full length, by a Gaussian process over all rungs or as its last value.

Trials, rungs and configurations become arrays here; the mathematics is in surrogate.py.

The state depends only on the reported values: length scales are refitted when the number of values has grown by a
quarter or a parameter is new, not when a prediction is requested. So a resumed search, which replays its records, makes
the same predictions.
"""

import heapq
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from tuner.policy.candidates import Candidate, Encoding
from tuner.policy.promotion_rungs import PromotionRungs
from tuner.policy.samplers.surrogate import (
    GaussianProcess,
    expected_improvement,
    fit_theta,
    prior,
    standardise,
)

MAX_VALUES = 150
"""Values that the process is conditioned on, the higher rungs first: its cost grows with their cube."""
MAX_FITTED = 100
"""The first of these values, which the length scales are fitted to; fitting costs about 20 times a conditioning."""
REFIT_GROWTH = 1.25
"""The length scales are refitted when the number of values has grown by this factor."""

MAX_EXPECTED = 64
"""Running trials, those that began or continued last, whose next value the process takes as it expects it."""
BOUNDING_TRIALS = 8
"""The best predicted ones, which bound a candidate's gain."""
AT_ONCE = 32
"""Candidates that are compared with all trials in one step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction(ABC):
    """Current predictions; higher values are better."""

    predicted: Mapping[str, float]
    """Values at full length, by trial, of the trials that may still win."""

    @abstractmethod
    def improvement(self, trials: Sequence[str]) -> Sequence[float] | np.ndarray:
        """Expected improvement of each of these predicted trials over the best prediction [N]."""

    @abstractmethod
    def improvement_if_new(self, candidates: Sequence[Candidate]) -> Sequence[float] | np.ndarray:
        """Expected improvement of each over every trial that began [N]."""

    def best_first(self, candidates: Sequence[Candidate]) -> Iterator[Candidate]:
        """The candidates by `improvement_if_new`, the largest first; equal ones in their order."""
        order = np.argsort(-np.asarray(self.improvement_if_new(candidates)), kind="stable")
        return (candidates[index] for index in order)


class Predictor(ABC):
    """Predicts from the values reported to a policy."""

    @abstractmethod
    def add(self, trial: str, candidate: Candidate) -> None:
        """The trial starts; `fit` follows."""

    def fit(self, rungs: PromotionRungs) -> None:  # noqa: B027 - without a model nothing is fitted
        """Trials or values have changed."""

    @abstractmethod
    def predict(self, rungs: PromotionRungs, contenders: Sequence[str]) -> Prediction:
        """`contenders` are the trials that may still win; at least one has a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussianProcessPrediction(Prediction):
    """The predictions of a Gaussian process."""

    gaussian_process: GaussianProcess
    encoding: Encoding
    centre: float
    spread: float
    begun: np.ndarray
    """Points [K, D] of the predicted and the running trials at full length; the best predicted first."""
    rows: Mapping[str, int]
    """Row of `begun`, by trial."""

    def improvement(self, trials: Sequence[str]) -> np.ndarray:
        points = self.begun[[self.rows[trial] for trial in trials]]
        mean, deviation = self.gaussian_process.mean_and_deviation(points)
        return expected_improvement(mean, deviation, (max(self.predicted.values()) - self.centre) / self.spread)

    def improvement_if_new(self, candidates: Sequence[Candidate]) -> np.ndarray:
        """The smallest over one trial at a time, which bounds that over all. A neighbour of a trial has the trial's
        own doubts, not new chances: against the best alone it would be proposed again and again."""
        return self._over(self.begun, _with_epoch(self.encoding.encode(candidates), 1.0))

    def best_first(self, candidates: Sequence[Candidate]) -> Iterator[Candidate]:
        """As without this method, but compared with all trials only as far as somebody asks: no candidate gains more
        than over a few of the trials, and after a thousand of these the comparison is most of a decision."""
        points = _with_epoch(self.encoding.encode(candidates), 1.0)
        at_most = self._over(self.begun[:BOUNDING_TRIALS], points)
        order = np.argsort(-at_most, kind="stable")
        found: list[tuple[float, int]] = []
        for start in range(0, len(order), AT_ONCE):
            some = order[start : start + AT_ONCE]
            for gain, index in zip(self._over(self.begun, points[some]).tolist(), some.tolist(), strict=True):
                heapq.heappush(found, (-gain, index))
            later = order[start + AT_ONCE : start + AT_ONCE + 1]
            while found and (not later.size or -found[0][0] > at_most[later[0]]):
                yield candidates[heapq.heappop(found)[1]]

    def _over(self, trials: np.ndarray, points: np.ndarray) -> np.ndarray:
        return expected_improvement(*self.gaussian_process.difference(points, trials), 0.0).min(axis=1)


@dataclass(slots=True)
class GaussianProcessPredictor(Predictor):
    """A Gaussian process over configurations and epochs; keeps the length scales, which are slow to fit."""

    max_epochs: int
    encoding: Encoding = field(default_factory=Encoding)
    _candidates: list[Candidate] = field(default_factory=list)
    _rows: dict[str, int] = field(default_factory=dict)
    """Row of `_points`, by trial."""
    _points: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    """Points of all trials [N, D - 1], without the epoch."""
    _theta: np.ndarray | None = None
    _num_fitted: int = 0

    def add(self, trial: str, candidate: Candidate) -> None:
        self._rows[trial] = len(self._candidates)
        self._candidates.append(candidate)
        if self.encoding.extend([candidate]):
            self._theta, self._num_fitted = None, 0
            self._points = self.encoding.encode(self._candidates)
        else:
            self._points = np.concatenate([self._points, self.encoding.encode([candidate])])

    def fit(self, rungs: PromotionRungs) -> None:
        num_values = rungs.num_values
        if num_values and (self._theta is None or num_values >= REFIT_GROWTH * self._num_fitted):
            points, scaled, _, _ = self._observed(rungs)
            self._theta = fit_theta(points[:MAX_FITTED], scaled[:MAX_FITTED], start=self._theta)
            self._num_fitted = num_values

    def predict(self, rungs: PromotionRungs, contenders: Sequence[str]) -> GaussianProcessPrediction:
        points, scaled, centre, spread = self._observed(rungs)
        # Before the first fit, the mode of the prior.
        theta = prior(points.shape[1])[0] if self._theta is None else self._theta
        process = GaussianProcess.condition(points, scaled, theta)
        means = process.mean(self._at(contenders, [self.max_epochs] * len(contenders)))
        predicted = dict(zip(contenders, (centre + spread * means).tolist(), strict=True))
        if latest := list(rungs.running.items())[-MAX_EXPECTED:]:
            # So that the next proposal differs from them; the means are as before.
            process = process.with_expected(self._at(*zip(*latest, strict=True)))
        names = list(dict.fromkeys([*sorted(contenders, key=predicted.__getitem__, reverse=True), *rungs.running]))
        begun = self._at(names, [self.max_epochs] * len(names))
        return GaussianProcessPrediction(
            predicted=predicted,
            gaussian_process=process,
            encoding=self.encoding,
            centre=centre,
            spread=spread,
            begun=begun,
            rows={trial: row for row, trial in enumerate(names)},
        )

    def _observed(self, rungs: PromotionRungs) -> tuple[np.ndarray, np.ndarray, float, float]:
        """Points [N, D], scaled values [N], and the centre and spread that they were scaled by.

        The values at rungs, and the last of each running trial, which tell most where many run and few have arrived.
        The highest epoch comes first, and of each rung the latest.
        """
        at_rungs = (
            (trial, epoch, value)
            for epoch in reversed(rungs.epochs)
            for trial, value in reversed(list(rungs.values[epoch].items()))
        )
        running = [(trial, epoch, value) for trial, (epoch, value) in rungs.between.items()]
        measured = sorted([*running, *islice(at_rungs, MAX_VALUES)], key=lambda one: -one[1])
        trials, epochs, values = zip(*measured[:MAX_VALUES], strict=True)
        return self._at(trials, epochs), *standardise(np.array(values))

    def _at(self, trials: Sequence[str], epochs: Sequence[int]) -> np.ndarray:
        """Points [N, D] of trials at epochs; the last coordinate is the logarithm of the epoch, 1 at full length."""
        points = self._points[[self._rows[trial] for trial in trials]]
        if self.max_epochs == 1:
            return _with_epoch(points, 1.0)
        coordinates = {epoch: math.log(epoch) / math.log(self.max_epochs) for epoch in set(epochs)}
        return _with_epoch(points, np.array([coordinates[epoch] for epoch in epochs]))


class LastValues(Predictor):
    """Predicts that each trial keeps its last value, as in plain successive halving, or loses as much as those did that
    came to their full length. No model.
    """

    def add(self, trial: str, candidate: Candidate) -> None:
        """Nothing of a configuration is used."""

    def predict(self, rungs: PromotionRungs, contenders: Sequence[str]) -> "LastPrediction":
        expected = rungs.expected()
        return LastPrediction(predicted={trial: expected[trial] for trial in contenders})


@dataclass(frozen=True, slots=True, kw_only=True)
class LastPrediction(Prediction):
    """Orders trials by their last value; says nothing of new configurations."""

    def improvement(self, trials: Sequence[str]) -> list[float]:
        return [self.predicted[trial] for trial in trials]

    def improvement_if_new(self, candidates: Sequence[Candidate]) -> list[float]:
        return [0.0] * len(candidates)


def _with_epoch(points: np.ndarray, coordinates: np.ndarray | float) -> np.ndarray:
    return np.column_stack([points, np.broadcast_to(coordinates, len(points))])
