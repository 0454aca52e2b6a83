"""Configurations that could be tried next, drawn from a define-by-run space and encoded as points for a model.

What: the space is called with a trial that answers at random or near a good configuration. A number is encoded as one
coordinate in [0, 1] (of its logarithm if the space says so), a choice as one coordinate per alternative. Where a
configuration does not have a parameter, a number is 0.5, and a choice has zeros alone.
Cost: a few milliseconds for the candidates of a decision. Off: `--sampler random` and `tpe`, which call the space for
one configuration at a time and encode nothing.
"""

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, Protocol

import numpy as np

from search_spaces.questions import is_answer
from search_spaces.stub_trials import Choices, Distribution, StubTrial, highest, nearest, with_tuples

NUM_ANYWHERE, NUM_NEAR = 200, 100
"""Configurations among which one decision chooses: anywhere, and near good ones."""
NUM_FRESH = 50
"""Those anywhere that are drawn for one decision; the others are of the decisions before it. Drawing takes longest, and
more or other candidates anywhere make no better choice (results/LOG.md)."""
SPREADS = (0.03, 0.1, 0.3)
"""Standard deviations of a coordinate near a good configuration; each drawn configuration uses one of them."""
_CHOICE_SCALE = math.sqrt(0.5)
"""Puts two different choices as far apart as the ends of a range."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A configuration."""

    answers: dict[str, Any]
    """The values that the space asked for, by name: what Optuna calls `params`."""
    params: dict[str, Any]
    """The training parameters that the space returned for them; they override the base configuration."""
    distributions: Mapping[str, Distribution] = field(default_factory=dict)
    """The range or the choices of each answer, as in Optuna."""

    @property
    def identity(self) -> frozenset:
        """Equal for equal configurations."""
        return frozenset(self.answers.items())


class CandidateSource(Protocol):
    """A source of configurations: a space, or the rows of a table."""

    def any(self, generator: random.Random) -> Candidate: ...

    def pool(self, seed: int) -> "CandidatePool": ...


class CandidatePool(Protocol):
    """The candidates of one decision after another."""

    def draw(self, number: int, generator: random.Random, *, near: Sequence[Candidate]) -> Sequence[Candidate]:
        """Those of the decision with this number and generator: the same, whatever was drawn before."""


@dataclass(frozen=True, slots=True)
class SpaceSource:
    """Draws from a define-by-run space."""

    space: Callable[[Any], dict]

    def any(self, generator: random.Random) -> Candidate:
        return candidate_of(self.space, StubTrial(_DrawnAnswers(generator)))

    def near(self, generator: random.Random, centre: Candidate) -> Candidate:
        return candidate_of(self.space, StubTrial(_DrawnAnswers(generator, centre)))

    def pool(self, seed: int) -> "SpacePool":
        return SpacePool(self, seed)

    def of(self, answers: Mapping[str, Any]) -> Candidate:
        """The configuration with these answers.

        Raises:
            ValueError: they are not exactly what the space asks for, or one is out of its range.
        """
        candidate = candidate_of(self.space, StubTrial(partial(_given_answer, answers)))
        if unknown := sorted(answers.keys() - candidate.answers.keys()):
            asked = ", ".join(sorted(candidate.answers))
            raise ValueError(f"the space does not ask for {unknown[0]!r}, but for {asked}")
        return candidate


@dataclass(slots=True)
class SpacePool:
    """Candidates from a space."""

    source: SpaceSource
    seed: int
    _fresh: dict[int, list[Candidate]] = field(default_factory=dict)
    """By the number of their decision; only those of the last ones are kept."""

    def draw(self, number: int, generator: random.Random, *, near: Sequence[Candidate]) -> list[Candidate]:
        latest = range(number - NUM_ANYWHERE // NUM_FRESH + 1, number + 1)
        self._fresh = {one: self._fresh.get(one) or self._draw_fresh(one) for one in latest}
        centres = [near[turn % len(near)] for turn in range(NUM_NEAR if near else 0)]
        return [*chain.from_iterable(self._fresh.values()), *(self.source.near(generator, one) for one in centres)]

    def _draw_fresh(self, number: int) -> list[Candidate]:
        generator = random.Random(f"{self.seed}/{number}/anywhere")
        return [self.source.any(generator) for _ in range(NUM_FRESH)]


def candidate_of(space: Callable[[Any], dict], trial: StubTrial) -> Candidate:
    """The configuration of a trial's answers; evaluates the space once."""
    returned = space(trial)
    return Candidate(answers=trial.params, params=returned, distributions=trial.distributions)


@dataclass(slots=True)
class Encoding:
    """Maps parameters to coordinates, in the order in which they first occurred: one for a number, one for each value
    of a choice."""

    columns: dict[str, slice] = field(default_factory=dict)
    width: int = 0

    def extend(self, candidates: Iterable[Candidate]) -> bool:
        """Adds coordinates for new parameters; returns whether there were any."""
        before = self.width
        for candidate in candidates:
            for name, distribution in candidate.distributions.items():
                if name not in self.columns:
                    end = self.width + (len(distribution.values) if isinstance(distribution, Choices) else 1)
                    self.columns[name], self.width = slice(self.width, end), end
        return self.width > before

    def encode(self, candidates: Sequence[Candidate]) -> np.ndarray:
        """Points [N, D]."""
        widths = [columns.stop - columns.start for columns in self.columns.values()]
        absent = [0.5 if width == 1 else 0.0 for width in widths for _ in range(width)]
        first = {name: columns.start for name, columns in self.columns.items()}
        rows = [absent.copy() for _ in candidates]
        for row, candidate in zip(rows, candidates, strict=True):
            for name, distribution in candidate.distributions.items():
                if name not in first:
                    continue
                answer, column = candidate.answers[name], first[name]
                if isinstance(distribution, Choices):
                    row[column + distribution.values.index(answer)] = _CHOICE_SCALE
                else:
                    low, high, _, log = distribution
                    row[column] = _to_unit(answer, low, high, log)
        return np.reshape(rows, (len(candidates), self.width))


class _DrawnAnswers:
    """Uniform over each range, or over its logarithm if the space says so; close to those that a centre has."""

    def __init__(self, generator: random.Random, centre: Candidate | None = None) -> None:
        self._generator = generator
        self._known = {} if centre is None else centre.answers
        self._spread = 1.0 if centre is None else generator.choice(SPREADS)

    def __call__(self, name: str, distribution: Distribution) -> Any:
        if isinstance(distribution, Choices):
            values = distribution.values
            is_near = name in self._known and self._known[name] in values
            if not is_near or self._generator.random() < self._spread:
                return self._generator.choice(values)
            return values[values.index(self._known[name])]
        low, high, step, log = distribution
        if step is not None:
            # Half a step beyond each end: the ends are as likely as the rest; .49, as rounding must not reach the next.
            low, high = low - 0.5 * step, highest(distribution) + 0.49 * step
        if name in self._known:
            near = _to_unit(self._known[name], low, high, log) + self._generator.gauss(0.0, self._spread)
            fraction = min(max(near, 0.0), 1.0)
        else:
            fraction = self._generator.random()
        value = low * (high / low) ** fraction if log else low + fraction * (high - low)
        return value if step is None and low <= value <= high else nearest(distribution, value)


def _given_answer(answers: Mapping[str, Any], name: str, distribution: Distribution) -> Any:
    """Returns the answer with this name, unchanged unless a rounding put it beyond an end of the range."""
    if name not in answers:
        raise ValueError(f"the space asks for {name!r}, which this configuration does not have")
    value = answers[name]
    if isinstance(distribution, Choices):
        value = with_tuples(value)
        if value not in distribution.values:
            raise ValueError(f"{name} is {value!r}, but must be one of {', '.join(map(repr, distribution.values))}")
        return distribution.values[distribution.values.index(value)]
    if isinstance(value, int | float) and distribution.low <= value <= distribution.high:
        return value
    if not is_answer(value, distribution):
        raise ValueError(f"{name} is {value!r}, but must be from {distribution.low:g} to {distribution.high:g}")
    return nearest(distribution, value)


def _to_unit(value: float, low: float, high: float, log: bool) -> float:
    if high <= low:
        return 0.5
    return math.log(value / low) / math.log(high / low) if log else (value - low) / (high - low)
