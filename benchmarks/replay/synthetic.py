"""Generated learning curves that are hard for early stopping: they cross, start slowly, are noisy, and some diverge."""

import zlib
from typing import Any

import numpy as np

from benchmarks.replay.problems import NUM_REFERENCE, Curve, Problem


class SyntheticProblem(Problem):
    """Generated curves that cross, start slowly, are noisy and diverge, over a space with a choice and a condition."""

    mode, max_epochs = "max", 27

    def __init__(self, seed: int) -> None:
        self.name = f"synthetic {seed}"
        generator = np.random.default_rng(seed)
        self._centre = generator.uniform(0.2, 0.8, size=3)
        self._bonus = generator.permutation([0.0, 0.03, 0.06])
        self._slowness = generator.uniform(1.0, 6.0)

    def space(self, trial: Any) -> dict:
        params = {
            "rate": trial.suggest_float("rate", 1e-4, 1.0, log=True),
            "width": trial.suggest_int("width", 8, 128, log=True),
            "optimizer": trial.suggest_categorical("optimizer", ("adam", "lion", "sgd")),
        }
        if params["optimizer"] == "sgd":
            params["momentum"] = trial.suggest_float("momentum", 0.0, 0.99)
        return params

    def curve(self, params: dict) -> Curve:
        """The best configurations learn slowly, so early ranks mislead."""
        rate = 1 + np.log10(params["rate"]) / 4
        width = np.log(params["width"] / 8) / np.log(16)
        momentum = params.get("momentum", self._centre[2])
        distance = np.square(np.array([rate, width, momentum]) - self._centre).sum()
        level = 0.9 - 0.5 * distance + self._bonus[("adam", "lion", "sgd").index(params["optimizer"])]
        epochs = np.arange(1.0, self.max_epochs + 1)
        noise = np.random.default_rng(zlib.crc32(repr(sorted(params.items())).encode())).normal(0, 0.004, len(epochs))
        values = level * (1 - np.exp(-epochs / (1 + self._slowness * (1 - rate)))) + noise
        return Curve(np.where((rate > 0.9) & (epochs > 2), np.nan, values), epochs * (0.5 + width))

    def reference(self) -> np.ndarray:
        return self.random_values(NUM_REFERENCE // 5)[:, -1]


def synthetic(num_problems: int = 4) -> list[SyntheticProblem]:
    return [SyntheticProblem(seed) for seed in range(num_problems)]
