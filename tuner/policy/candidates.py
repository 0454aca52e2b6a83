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
from typing import Any, Protocol

import numpy as np

NUM_RANDOM, NUM_NEAR = 200, 100
"""How many configurations are drawn for one decision: anywhere, and near good ones."""
SPREADS = (0.03, 0.1, 0.3)
"""Standard deviations of a coordinate near a good configuration; each configuration takes one of them."""
REHEARSALS = 50
"""Configurations drawn to learn the space's parameters; one that is met later is added then."""
_CHOICE_SCALE = math.sqrt(0.5)
"""Two different choices are as far apart as the ends of a range."""


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
            ValueError: the space asks for something else, or no longer knows an answer.
        """
        try:
            return self._asked(_GivenAnswers(answers))
        except KeyError as error:
            raise ValueError(f"the space asks for {error.args[0]}, which this configuration does not have") from error

    def _asked(self, answers: "_RandomAnswers") -> Candidate:
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


class _PlacingTrial:
    """Asks `answers` for places in ranges and turns them into values, which the space gets."""

    def __init__(self, answers: "_RandomAnswers") -> None:
        self._answers = answers
        self.params: dict[str, Any] = {}
        self.places: dict[str, tuple[float, ...]] = {}

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False):
        if name not in self.params:
            value, place = self._answers.number(name, low, high, log)
            if step is not None:
                value = low + step * round((value - low) / step)
                place = _place(value, low, high, log)
            self._note(name, min(max(value, low), high), place)
        return self.params[name]

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        if name not in self.params:
            # Half a step beyond each end: the ends are as likely as the rest.
            value, _ = self._answers.number(name, low - 0.5 * step, high + 0.49 * step, log)
            value = min(max(low + step * round((value - low) / step), low), high)
            self._note(name, value, _place(value, low, high, log))
        return self.params[name]

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        if name not in self.params:
            index = self._answers.choice(name, choices)
            self.params[name] = choices[index]
            self.places[name] = tuple(_CHOICE_SCALE * (index == other) for other in range(len(choices)))
        return self.params[name]

    def _note(self, name: str, value: float, place: float) -> None:
        self.params[name] = value
        self.places[name] = (place,)


class _RandomAnswers:
    def __init__(self, generator: random.Random) -> None:
        self._generator = generator

    def number(self, name: str, low: float, high: float, log: bool) -> tuple[float, float]:
        """With its place in the range."""
        place = self._generator.random()
        return _at(place, low, high, log), place

    def choice(self, name: str, choices: Sequence[Any]) -> int:
        return self._generator.randrange(len(choices))


class _NearbyAnswers(_RandomAnswers):
    """Like those of a centre, a little off; at random where the centre was not asked."""

    def __init__(self, generator: random.Random, centre: Candidate) -> None:
        super().__init__(generator)
        self._centre = centre
        self._spread = generator.choice(SPREADS)

    def number(self, name: str, low: float, high: float, log: bool) -> tuple[float, float]:
        if name not in self._centre.answers:
            return super().number(name, low, high, log)
        place = _place(self._centre.answers[name], low, high, log) + self._generator.gauss(0.0, self._spread)
        place = min(max(place, 0.0), 1.0)
        return _at(place, low, high, log), place

    def choice(self, name: str, choices: Sequence[Any]) -> int:
        value = self._centre.answers.get(name, choices)
        if value not in choices or self._generator.random() < self._spread:
            return super().choice(name, choices)
        return choices.index(value)


class _GivenAnswers:
    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = params

    def number(self, name: str, low: float, high: float, log: bool) -> tuple[float, float]:
        value = self._params[name]
        return value, _place(value, low, high, log)

    def choice(self, name: str, choices: Sequence[Any]) -> int:
        return choices.index(self._params[name])


def _place(value: float, low: float, high: float, log: bool) -> float:
    if high <= low:
        return 0.5
    return math.log(value / low) / math.log(high / low) if log else (value - low) / (high - low)


def _at(place: float, low: float, high: float, log: bool) -> float:
    return low * (high / low) ** place if log else low + place * (high - low)
