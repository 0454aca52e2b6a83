"""Recorded learning curves to replay a search on, without training.

A problem has a define-by-run space, and knows the curve of every configuration. A table holds only some: a proposed
configuration is taken to be the nearest row, and a policy that scores candidates may choose among the rows themselves.
"""

import json
import random
import zipfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tuner.policy.candidates import Candidate, CandidateSource, SpaceSource

NUM_REFERENCE = 5000
"""Random configurations that give the best and the median of a problem without a table."""

NUM_SPREAD = 200
"""Random configurations that give the spread at each epoch."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One training: the objective after each epoch [R], and how long it took until then."""

    values: np.ndarray
    times: np.ndarray


class Problem:
    """Curves over a space.

    Attributes:
        name: what the table of results calls it.
        mode: which values are better, `max` or `min`.
        max_epochs: the full length.
    """

    name: str
    mode: str
    max_epochs: int

    def space(self, trial: Any) -> dict:
        raise NotImplementedError

    def curve(self, params: dict) -> Curve:
        raise NotImplementedError

    def reference(self) -> np.ndarray:
        """Values at full length of the configurations that regret is normalised by."""
        raise NotImplementedError

    @property
    def source(self) -> CandidateSource:
        return SpaceSource(self.space)

    def random_values(self, number: int) -> np.ndarray:
        """Values [number, R] of random configurations, the same in each call."""
        generator, source = random.Random(0), self.source
        return np.array([self.curve(source.any(generator).params).values for _ in range(number)])

    @cached_property
    def scale(self) -> tuple[float, float]:
        """The best and the median value at full length; a diverged one counts as the worst that is finite."""
        values = self.reference()
        finite = values[np.isfinite(values)]
        best, worst = (finite.max(), finite.min()) if self.mode == "max" else (finite.min(), finite.max())
        return float(best), float(np.median(np.where(np.isfinite(values), values, worst)))

    @cached_property
    def spread_by_epoch(self) -> np.ndarray:
        """Spread of random configurations at each epoch, [R]: the interquartile range scaled to a standard deviation,
        so that the few that diverge do not widen it."""
        drawn = self.random_values(NUM_SPREAD)
        low, high = np.nanquantile(np.where(np.isfinite(drawn), drawn, np.nan), (0.25, 0.75), axis=0)
        return (high - low) / 1.349

    def regret(self, params: dict) -> float:
        """0 for the best value at full length, 1 for the median one; at most 2, as for a diverged one."""
        best, median = self.scale
        value = float(self.curve(params).values[-1])
        sign = 1.0 if self.mode == "max" else -1.0
        behind, unit = sign * (best - value), sign * (best - median)
        if not np.isfinite(value) or behind > 2.0 * unit:
            return 2.0
        # Where the median equals the best, there is no unit.
        return behind / unit if unit else 0.0


class TableProblem(Problem):
    """A table of configurations: hyper-parameters [N, D], all positive, and values [N, R] after each epoch."""

    def __init__(
        self, name: str, names: Sequence[str], hyperparameters: np.ndarray, values: np.ndarray, *, mode: str
    ) -> None:
        self.name, self.mode, self.max_epochs = name, mode, values.shape[1]
        self._names = list(names)
        self._rows, self._values = hyperparameters, values
        self._low, self._high = hyperparameters.min(axis=0), hyperparameters.max(axis=0)
        # A column of one value has no width, and no part in a distance.
        self._widths = np.where(self._low < self._high, np.log(self._high / self._low), 1.0)
        self._places = np.log(hyperparameters / self._low) / self._widths

    def space(self, trial: Any) -> dict:
        bounds = zip(self._names, self._low.tolist(), self._high.tolist(), strict=True)
        return {name: trial.suggest_float(name, low, high, log=True) for name, low, high in bounds}

    def curve(self, params: dict) -> Curve:
        return Curve(self._values[self.nearest(params)], np.arange(1.0, self.max_epochs + 1))

    def nearest(self, params: dict, *, but: Collection[int] = ()) -> int:
        """The number of the nearest row, other than those."""
        values = np.array([params[name] for name in self._names])
        place = np.log(values / self._low) / self._widths
        distances = np.square(self._places - place).sum(axis=1)
        distances[list(but)] = np.inf
        return int(np.argmin(distances))

    def row(self, number: int) -> dict:
        return dict(zip(self._names, self._rows[number].tolist(), strict=True))

    def reference(self) -> np.ndarray:
        return self._values[:, -1]

    @cached_property
    def source(self) -> CandidateSource:
        space = SpaceSource(self.space)
        return RowSource([space.of(self.row(number)) for number in range(len(self._rows))])


class RowSource:
    """The rows of a table as candidates."""

    def __init__(self, rows: Sequence[Candidate]) -> None:
        self._rows = rows

    def any(self, generator: random.Random) -> Candidate:
        return generator.choice(self._rows)

    def pool(self, seed: int) -> "RowSource":
        return self

    def draw(self, number: int, generator: random.Random, *, near: Sequence[Candidate]) -> Sequence[Candidate]:
        return self._rows


def taskset(path: Path) -> list[TableProblem]:
    """The tasks of a TaskSet file: validation loss, lower is better; the value before training is left out.

    Raises:
        ValueError: it is not such a file.
    """
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is not an .npz file")
    with np.load(path) as file:
        keys = [key for key in sorted(file.files) if key.endswith("/valid")]
        if not keys or not {"hp", "hp_names"} <= set(file.files):
            raise ValueError(f"{path} needs hp, hp_names and <task>/valid; it has {', '.join(file.files)}")
        # The distance from 1 is what matters for a momentum.
        names = [f"one_minus_{name}" if name.startswith("beta") else str(name) for name in file["hp_names"]]
        table = file["hp"].astype(float)
        for column, name in enumerate(names):
            if name.startswith("one_minus_"):
                table[:, column] = np.maximum(1.0 - table[:, column], 1e-7)
        return [
            TableProblem(key.removesuffix("/valid"), names, table, file[key][:, 1:].astype(float), mode="min")
            for key in keys
        ]


class SurrogateProblem(Problem):
    """One task of the LCBench surrogate: validation accuracy and seconds at epochs 1 to 52."""

    mode, max_epochs = "max", 52

    def __init__(self, task: str, code: int, parameters: Sequence[dict], answer: Callable) -> None:
        self.name = task
        self._code, self._parameters, self._answer = code, parameters, answer

    def space(self, trial: Any) -> dict:
        params = {}
        for one in self._parameters:
            ask = trial.suggest_int if one["type"] == "uniform_int" else trial.suggest_float
            params[one["name"]] = ask(one["name"], one["lower"], one["upper"], log=one["log"])
        return params

    def curve(self, params: dict) -> Curve:
        answers = self._ask([params], range(1, self.max_epochs + 1))
        return Curve(answers[:, 1], np.maximum.accumulate(answers[:, 0]))

    def reference(self) -> np.ndarray:
        generator, source = random.Random(0), SpaceSource(self.space)
        return self._ask([source.any(generator).params for _ in range(NUM_REFERENCE)], [self.max_epochs])[:, 1]

    def _ask(self, configurations: Sequence[dict], epochs: Sequence[int]) -> np.ndarray:
        names = ("batch_size", "learning_rate", "momentum", "weight_decay", "num_layers", "max_units", "max_dropout")
        rows = [[epoch, *(params[name] for name in names)] for params in configurations for epoch in epochs]
        return self._answer(np.array(rows, dtype=np.float32), np.full((len(rows), 1), self._code, dtype=np.int32))


def lcbench(folder: Path) -> list[SurrogateProblem]:
    """All tasks of the surrogate in a folder, which needs onnxruntime."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ValueError("--surrogate needs onnxruntime: pip install 'vision-tuner[replay]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    if not (folder / "model.onnx").is_file():
        raise ValueError(f"{folder} holds no surrogate: there is no model.onnx")
    network = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    space = json.loads((folder / "config_space.json").read_text())["hyperparameters"]
    codes = json.loads((folder / "encoding.json").read_text())["OpenML_task_id"]
    tasks = next(one["choices"] for one in space if one["name"] == "OpenML_task_id")
    parameters = [one for one in space if one["name"] not in ("OpenML_task_id", "epoch")]

    def answer(numbers: np.ndarray, task: np.ndarray) -> np.ndarray:
        return network.run(None, {"x_cont": numbers, "x_cat": task})[0].astype(float)

    return [SurrogateProblem(task, codes[task], parameters, answer) for task in tasks]
