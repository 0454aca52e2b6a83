"""Replays a search of the user: which policy would have found its good trials sooner?"""

import math
from pathlib import Path
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from benchmarks.replay.problems import Curve, Problem, RowSource
from tuner.importance.measure import distributions_of
from tuner.policy.candidates import CandidateSource, Encoding, SpaceSource
from tuner.records import SearchRecord, TrialRecord, read_search


class PastSearch(Problem):
    """The trials of a results folder, as a table of what their configurations were.

    A trial that was stopped early is not known beyond that epoch: it keeps its last value, and its regret is that
    value's. One that its configuration ended has no value from then on. So this compares how soon policies find the
    good trials, and what they spend on the others.
    """

    def __init__(self, search: SearchRecord) -> None:
        self.name, self.mode = search.settings.name, search.settings.mode
        self.max_epochs = search.settings.max_epochs
        trials = [trial for trial in search.trials if trial.results or _ended_badly(trial)]
        seconds = [result.seconds for trial in trials for result in trial.results.values()]
        mean_seconds = sum(seconds) / max(1, len(seconds))
        self._curves = [_padded(trial, self.max_epochs, mean_seconds) for trial in trials]
        if len(self.reference()) < 2:
            raise ValueError(f"{self.name} has {len(self.reference())} trials with results; a replay needs two or more")
        self._ranges = distributions_of(trials)
        space = SpaceSource(self.space)
        # A parameter that a trial does not have counts as the first choice or the lowest value.
        lowest = {name: _lowest(spread) for name, spread in self._ranges.items()}
        self._rows = [space.of({name: trial.params.get(name, lowest[name]) for name in lowest}) for trial in trials]
        self._encoding = Encoding()
        self._encoding.extend(self._rows)
        self._points = self._encoding.encode(self._rows)

    @property
    def source(self) -> CandidateSource:
        return RowSource(self._rows)

    def space(self, trial: Any) -> dict:
        return {name: _ask(trial, name, spread) for name, spread in self._ranges.items()}

    def curve(self, params: dict) -> Curve:
        point = self._encoding.encode([SpaceSource(self.space).of(params)])
        return self._curves[int(np.square(self._points - point).sum(axis=1).argmin())]

    def reference(self) -> np.ndarray:
        last = np.array([curve.values[-1] for curve in self._curves])
        return last[np.isfinite(last)]


def past_search(folder: Path) -> list[PastSearch]:
    return [PastSearch(read_search(folder))]


def _lowest(spread: BaseDistribution) -> Any:
    if isinstance(spread, CategoricalDistribution):
        return spread.choices[0]
    assert isinstance(spread, IntDistribution | FloatDistribution)
    return spread.low


def _ask(trial: Any, name: str, spread: BaseDistribution) -> Any:
    if isinstance(spread, CategoricalDistribution):
        return trial.suggest_categorical(name, spread.choices)
    assert isinstance(spread, IntDistribution | FloatDistribution)
    ask = trial.suggest_int if isinstance(spread, IntDistribution) else trial.suggest_float
    return ask(name, spread.low, spread.high, log=spread.log)


def _ended_badly(trial: TrialRecord) -> bool:
    return trial.outcome is not None and trial.outcome.counts_as_bad


def _padded(trial: TrialRecord, max_epochs: int, mean_seconds: float) -> Curve:
    """Repeats the last epoch up to full length; a trial that ended as bad has no value from then on."""
    results = [trial.results[epoch] for epoch in sorted(trial.results)]
    values = [result.objective for result in results]
    if _ended_badly(trial):
        values = [*values[: max_epochs - 1], math.nan]
    seconds = [result.seconds for result in results] or [mean_seconds]
    return Curve(_lengthened(values, max_epochs), np.cumsum(_lengthened(seconds, max_epochs)))


def _lengthened(values: list[float], length: int) -> np.ndarray:
    return np.pad(values, (0, length - len(values)), mode="edge")
