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

from search_spaces.stub_trials import Choices, IntRange, Question, StubTrial

NUM_RANDOM, NUM_NEAR = 200, 100
"""How many configurations are drawn for one decision: anywhere, and near good ones."""
SPREADS = (0.03, 0.1, 0.3)
"""Standard deviations of a coordinate near a good configuration; each configuration takes one of them."""
_CHOICE_SCALE = math.sqrt(0.5)
"""Two different choices are as far apart as the ends of a range."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A configuration."""

    answers: dict[str, Any]
    """What the space asked for, by name."""
    params: dict[str, Any]
    """What the space made of the answers: the parameters of a training."""
    questions: Mapping[str, Question] = field(default_factory=dict)
    """What each answer was one of."""

    @property
    def places(self) -> dict[str, tuple[float, ...]]:
        """Where in the range of its parameter each answer lies, as coordinates for a model."""
        return {name: _place(question, self.answers[name]) for name, question in self.questions.items()}

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
        return candidate_of(self._space, StubTrial(_RandomAnswers(generator)))

    def draw(self, generator: random.Random, *, near: Sequence[Candidate]) -> list[Candidate]:
        anywhere = [self.any(generator) for _ in range(NUM_RANDOM)]
        centres = [near[number % len(near)] for number in range(NUM_NEAR if near else 0)]
        return anywhere + [candidate_of(self._space, StubTrial(_NearbyAnswers(generator, one))) for one in centres]

    def of(self, answers: Mapping[str, Any]) -> Candidate:
        """The configuration with these answers.

        Raises:
            ValueError: they are not exactly what the space asks for, or one is out of its range.
        """
        candidate = candidate_of(self._space, StubTrial(_GivenAnswers(answers)))
        if unknown := sorted(answers.keys() - candidate.answers.keys()):
            asked = ", ".join(sorted(candidate.answers))
            raise ValueError(f"the space does not ask for {unknown[0]!r}, but for {asked}")
        return candidate


def candidate_of(space: Callable[[Any], dict], trial: StubTrial) -> Candidate:
    """What the space makes of the trial's answers: the one evaluation of a proposal."""
    params = space(trial)
    return Candidate(trial.asked, params, trial.questions)


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
        places = [candidate.places for candidate in candidates]
        for name, columns in self.columns.items():
            width = columns.stop - columns.start
            absent = (0.5,) if width == 1 else (0.0,) * width
            points[:, columns] = [known.get(name, absent) for known in places]
        return points


class _RandomAnswers:
    """Uniform over each range, in the logarithm where the space says so."""

    def __init__(self, generator: random.Random) -> None:
        self._generator = generator

    def __call__(self, name: str, question: Question) -> Any:
        if isinstance(question, Choices):
            return self._choice(name, question)
        low, high, step, log = question
        if isinstance(question, IntRange):
            # Half a step beyond each end: the ends are as likely as the rest.
            low, high = low - 0.5 * question.step, high + 0.49 * question.step
        value = _at(self._drawn_place(name, low, high, log), low, high, log)
        return value if step is None and low <= value <= high else question.nearest(value)

    def _choice(self, name: str, question: Choices) -> Any:
        return self._generator.choice(question.values)

    def _drawn_place(self, name: str, low: float, high: float, log: bool) -> float:
        return self._generator.random()


class _NearbyAnswers(_RandomAnswers):
    """Like those of a centre, a little off; at random where the centre was not asked."""

    def __init__(self, generator: random.Random, centre: Candidate) -> None:
        super().__init__(generator)
        self._centre = centre
        self._spread = generator.choice(SPREADS)

    def _choice(self, name: str, question: Choices) -> Any:
        known = self._centre.answers
        if name not in known or known[name] not in question.values or self._generator.random() < self._spread:
            return super()._choice(name, question)
        return question.values[question.values.index(known[name])]

    def _drawn_place(self, name: str, low: float, high: float, log: bool) -> float:
        if name not in self._centre.answers:
            return super()._drawn_place(name, low, high, log)
        place = _fraction(self._centre.answers[name], low, high, log) + self._generator.gauss(0.0, self._spread)
        return min(max(place, 0.0), 1.0)


class _GivenAnswers:
    """Kept to the last bit."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self._answers = answers

    def __call__(self, name: str, question: Question) -> Any:
        if name not in self._answers:
            raise ValueError(f"the space asks for {name!r}, which this configuration does not have")
        value = self._answers[name]
        if isinstance(question, Choices):
            # A tuple comes back from JSON as a list.
            value = tuple(value) if isinstance(value, list) else value
            if value not in question.values:
                raise ValueError(f"{name} is {value!r}, but must be one of {', '.join(map(repr, question.values))}")
            return question.values[question.values.index(value)]
        if not isinstance(value, int | float) or not question.low <= value <= question.high:
            raise ValueError(f"{name} is {value!r}, but must be from {question.low:g} to {question.high:g}")
        return value


def _place(question: Question, answer: Any) -> tuple[float, ...]:
    """The coordinates of an answer: one of a number, one for each alternative of a choice."""
    if isinstance(question, Choices):
        places = [0.0] * len(question.values)
        places[question.values.index(answer)] = _CHOICE_SCALE
        return tuple(places)
    low, high, _, log = question
    return (_fraction(answer, low, high, log),)


def _fraction(value: float, low: float, high: float, log: bool) -> float:
    if high <= low:
        return 0.5
    return math.log(value / low) / math.log(high / low) if log else (value - low) / (high - low)


def _at(place: float, low: float, high: float, log: bool) -> float:
    return low * (high / low) ** place if log else low + place * (high - low)
