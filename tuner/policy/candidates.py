"""Configurations that could be tried next, drawn from a define-by-run space, as points for a model.

What: the space is called with a trial that answers at random, or near a configuration that is known to be good, and
notes each answer's place in its range. A number is one coordinate in [0, 1] (of its logarithm where the space says so),
a choice is one coordinate for each alternative; what a configuration was not asked sits in the middle.
Cost: a few milliseconds for 300 configurations. Off: `--policy asha`.
"""

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np

NUM_RANDOM, NUM_NEAR = 200, 100
"""How many configurations are drawn for one decision: anywhere, and near good ones."""
SPREADS = (0.03, 0.1, 0.3)
"""Standard deviations of a coordinate near a good configuration; each configuration takes one of them."""
_CHOICE_SCALE = math.sqrt(0.5)
"""Two different choices are as far apart as the ends of a range."""

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A configuration."""

    answers: dict[str, Any]
    """What the space asked for, by name."""
    params: dict[str, Any]
    """What the space made of the answers: the parameters of a training."""
    places: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """Where in the range of its parameter each answer lies, as coordinates for a model."""

    @property
    def identity(self) -> frozenset:
        """The same for the same configuration."""
        return frozenset(self.answers.items())


class CandidateSource(Protocol):
    """Where configurations come from: a space, or the rows of a table."""

    def any(self, generator: random.Random) -> Candidate: ...

    def draw(self, generator: random.Random, *, near: Sequence[Candidate]) -> Sequence[Candidate]: ...


class SpaceSource:
    """Draws from a define-by-run space."""

    def __init__(self, space: Callable[[Any], dict]) -> None:
        self._space = space

    def any(self, generator: random.Random) -> Candidate:
        return self._asked(_RandomAnswers(generator))

    def draw(self, generator: random.Random, *, near: Sequence[Candidate]) -> list[Candidate]:
        anywhere = [self.any(generator) for _ in range(NUM_RANDOM)]
        centres = [near[number % len(near)] for number in range(NUM_NEAR if near else 0)]
        return anywhere + [self._asked(_NearbyAnswers(generator, centre)) for centre in centres]

    def of(self, answers: Mapping[str, Any]) -> Candidate:
        """The configuration with these answers.

        Raises:
            ValueError: they are not exactly what the space asks for, or one is out of its range.
        """
        candidate = self._asked(_GivenAnswers(answers))
        if unknown := sorted(answers.keys() - candidate.answers.keys()):
            asked = ", ".join(sorted(candidate.answers))
            raise ValueError(f"the space does not ask for {unknown[0]!r}, but for {asked}")
        return candidate

    def _asked(self, answers: "_Answers") -> Candidate:
        trial = _PlacingTrial(answers)
        params = self._space(trial)
        return Candidate(trial.params, params, trial.places)


@dataclass(slots=True)
class Encoding:
    """Which coordinates stand for which parameter, in the order in which parameters were first met."""

    columns: dict[str, slice] = field(default_factory=dict)
    width: int = 0

    def learn(self, candidates: Iterable[Candidate]) -> bool:
        """Makes room for parameters that are new; True if there were any."""
        before = self.width
        for candidate in candidates:
            for name, place in candidate.places.items():
                if name not in self.columns:
                    self.columns[name] = slice(self.width, self.width + len(place))
                    self.width += len(place)
        return self.width > before

    def encode(self, candidates: Sequence[Candidate]) -> np.ndarray:
        """Points [N, D]."""
        points = np.zeros((len(candidates), self.width))
        for name, columns in self.columns.items():
            width = columns.stop - columns.start
            absent = (0.5,) if width == 1 else (0.0,) * width
            points[:, columns] = [candidate.places.get(name, absent) for candidate in candidates]
        return points


class _Answers(Protocol):
    """Where the answers to a space come from."""

    def number(self, name: str, low: float, high: float, step: float | None, log: bool) -> float: ...

    def whole(self, name: str, low: int, high: int, step: int, log: bool) -> int: ...

    def choice(self, name: str, choices: Sequence[Any]) -> int:
        """Its index."""


class _PlacingTrial:
    """Gives a space its answers, and notes where in its range each lies: the place follows from the answer alone."""

    def __init__(self, answers: _Answers) -> None:
        self._answers = answers
        self.params: dict[str, Any] = {}
        self.places: dict[str, tuple[float, ...]] = {}

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False):
        if name not in self.params:
            self.params[name] = self._answers.number(name, low, high, step, log)
            self.places[name] = (_place(self.params[name], low, high, log),)
        return self.params[name]

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        if name not in self.params:
            self.params[name] = self._answers.whole(name, low, high, step, log)
            self.places[name] = (_place(self.params[name], low, high, log),)
        return self.params[name]

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        if name not in self.params:
            index = self._answers.choice(name, choices)
            self.params[name] = choices[index]
            self.places[name] = tuple(_CHOICE_SCALE * (index == other) for other in range(len(choices)))
        return self.params[name]


class _RandomAnswers:
    def __init__(self, generator: random.Random) -> None:
        self._generator = generator

    def number(self, name: str, low: float, high: float, step: float | None, log: bool) -> float:
        value = _at(self._drawn_place(name, low, high, log), low, high, log)
        return min(max(value if step is None else _stepped(value, low, step), low), high)

    def whole(self, name: str, low: int, high: int, step: int, log: bool) -> int:
        # Half a step beyond each end: the ends are as likely as the rest.
        ends = low - 0.5 * step, high + 0.49 * step
        value = _at(self._drawn_place(name, *ends, log), *ends, log)
        return min(max(_stepped(value, low, step), low), high)

    def choice(self, name: str, choices: Sequence[Any]) -> int:
        return self._generator.randrange(len(choices))

    def _drawn_place(self, name: str, low: float, high: float, log: bool) -> float:
        return self._generator.random()


class _NearbyAnswers(_RandomAnswers):
    """Like those of a centre, a little off; at random where the centre was not asked."""

    def __init__(self, generator: random.Random, centre: Candidate) -> None:
        super().__init__(generator)
        self._centre = centre
        self._spread = generator.choice(SPREADS)

    def choice(self, name: str, choices: Sequence[Any]) -> int:
        value = self._centre.answers.get(name, choices)
        if value not in choices or self._generator.random() < self._spread:
            return super().choice(name, choices)
        return choices.index(value)

    def _drawn_place(self, name: str, low: float, high: float, log: bool) -> float:
        if name not in self._centre.answers:
            return super()._drawn_place(name, low, high, log)
        place = _place(self._centre.answers[name], low, high, log) + self._generator.gauss(0.0, self._spread)
        return min(max(place, 0.0), 1.0)


class _GivenAnswers:
    """Kept to the last bit."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self._answers = answers

    def number(self, name: str, low: float, high: float, step: float | None, log: bool) -> Any:
        value = self._given(name)
        if not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"{name} is {value!r}, but must be from {low:g} to {high:g}")
        return value

    whole = number

    def choice(self, name: str, choices: Sequence[Any]) -> int:
        value = self._given(name)
        # A tuple comes back from JSON as a list.
        value = tuple(value) if isinstance(value, list) else value
        if value not in choices:
            raise ValueError(f"{name} is {value!r}, but must be one of {', '.join(map(repr, choices))}")
        return choices.index(value)

    def _given(self, name: str) -> Any:
        if name not in self._answers:
            raise ValueError(f"the space asks for {name!r}, which this configuration does not have")
        return self._answers[name]


def _place(value: float, low: float, high: float, log: bool) -> float:
    if high <= low:
        return 0.5
    return math.log(value / low) / math.log(high / low) if log else (value - low) / (high - low)


def _at(place: float, low: float, high: float, log: bool) -> float:
    return low * (high / low) ** place if log else low + place * (high - low)


def _stepped(value: float, low: Number, step: Number) -> Number:
    return low + step * round((value - low) / step)
