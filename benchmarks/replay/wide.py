"""Generated learning curves over spaces of 5, 12 and 25 parameters, and over conditional ones of 18, that cross late.

A few parameters matter much and most of them little, as in spaces that people write; neighbours in the order of weights
depend on each other. The first parameter also sets how fast a configuration learns, which misleads early ranks; the
fastest ones diverge.
"""

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.replay.problems import NUM_REFERENCE, Curve, Problem

SIZES = (5, 12, 25)
BRANCHES, SHARED, OF_EACH_BRANCH = ("convolution", "attention", "mixture"), 2, 5
"""18 parameters including the choice of the branch; a configuration has eight of them."""
_OPTIMUM = 0.9
_DECAY = 0.7
"""The weight of each parameter beside that of the next more important one."""
_TOGETHER = 0.5
"""The correlation of neighbours' distances from the optimum: the surface has one optimum for at most a half."""


class WideProblem(Problem):
    """Numbers on linear, logarithmic and whole scales; every sixth parameter is a choice of three."""

    mode, max_epochs = "max", 27

    def __init__(self, num_parameters: int, seed: int) -> None:
        self.name = f"{num_parameters} parameters {seed}"
        self._names = [f"p{place}" for place in range(num_parameters)]
        self._generator = np.random.default_rng([num_parameters, seed])
        self._shared = _Bowl(self._names, self._generator)
        self._slowness = self._generator.uniform(2.0, 9.0)

    def space(self, trial: Any) -> dict:
        return {name: _ask(trial, name) for name in self._names}

    def curve(self, params: dict) -> Curve:
        rate, epochs = _place("p0", params["p0"]), np.arange(1.0, self.max_epochs + 1)
        pace = 1 + self._slowness * (1 - rate)
        learnt = (1 - np.exp(-epochs / pace)) / (1 - np.exp(-self.max_epochs / pace))
        noise = np.random.default_rng(zlib.crc32(repr(sorted(params.items())).encode())).normal(0, 0.004, len(epochs))
        values = self._level(params) * learnt + noise
        return Curve(np.where((rate > 0.95) & (epochs > 2), np.nan, values), epochs)

    def reference(self) -> np.ndarray:
        """Values of random configurations, and of the optimum, which random ones don't come near in many dimensions."""
        return np.append(self.random_values(NUM_REFERENCE // 5)[:, -1], _OPTIMUM)

    def _level(self, params: Mapping[str, Any]) -> float:
        return _OPTIMUM - self._shared.below(params)


class ConditionalProblem(WideProblem):
    """A choice of three branches, each with five parameters of its own, beside two that all have."""

    def __init__(self, seed: int) -> None:
        super().__init__(SHARED, seed)
        self.name = f"conditional 18 {seed}"
        self._branches = {branch: _Bowl(self._own(branch), self._generator) for branch in BRANCHES}
        self._behind = dict(zip(BRANCHES, self._generator.permutation([0.0, 0.03, 0.06]), strict=True))

    def space(self, trial: Any) -> dict:
        branch = trial.suggest_categorical("branch", BRANCHES)
        return {"branch": branch} | {name: _ask(trial, name) for name in [*self._names, *self._own(branch)]}

    def _level(self, params: Mapping[str, Any]) -> float:
        branch = params["branch"]
        below = 0.3 * self._shared.below(params) + 0.7 * self._branches[branch].below(params)
        return _OPTIMUM - self._behind[branch] - below

    def _own(self, branch: str) -> list[str]:
        return [f"{branch}_p{place}" for place in range(1, OF_EACH_BRANCH + 1)]


class _Bowl:
    """Distance of a configuration below the optimum: a quadratic form with its zero inside the cube."""

    def __init__(self, names: list[str], generator: np.random.Generator) -> None:
        self._names, size = names, len(names)
        self._centre = generator.uniform(0.15, 0.85, size)
        # A choice lies at the end or in the middle of its side: its best one loses nothing.
        self._centre = np.where([_is_choice(name) for name in names], np.round(2 * self._centre) / 2, self._centre)
        order = generator.permutation(size)
        scale = np.sqrt(_DECAY ** np.arange(size))
        together = np.eye(size) + _TOGETHER * (np.eye(size, k=1) + np.eye(size, k=-1))
        weights = np.empty((size, size))
        weights[np.ix_(order, order)] = scale[:, None] * together * scale
        self._weights = 3 * weights / np.trace(weights)

    def below(self, params: Mapping[str, Any]) -> float:
        apart = np.array([_place(name, params[name]) for name in self._names]) - self._centre
        return float(apart @ self._weights @ apart)


def _number(name: str) -> int:
    return int(name.rpartition("p")[2])


def _is_choice(name: str) -> bool:
    return _number(name) % 6 == 5


def _ask(trial: Any, name: str) -> Any:
    if _is_choice(name):
        return trial.suggest_categorical(name, ("low", "middle", "high"))
    kind = _number(name) % 3
    if kind == 0:
        return trial.suggest_float(name, 1e-4, 1.0, log=True)
    return trial.suggest_float(name, 0.0, 1.0) if kind == 1 else trial.suggest_int(name, 8, 128, log=True)


def _place(name: str, value: Any) -> float:
    """Position of a value in [0, 1], on the parameter's scale."""
    if _is_choice(name):
        return ("low", "middle", "high").index(value) / 2
    kind = _number(name) % 3
    if kind == 0:
        return float(1 + np.log10(value) / 4)
    return float(value) if kind == 1 else float(np.log(value / 8) / np.log(16))


def wide(num_of_each: int = 3) -> list[WideProblem]:
    problems = [WideProblem(size, seed) for size in SIZES for seed in range(num_of_each)]
    return [*problems, *(ConditionalProblem(seed) for seed in range(num_of_each))]
