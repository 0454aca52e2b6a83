"""Ranges and choices that a user gives for a parameter, in place of the space's own range or of one value.

`Range` and `OneOf` are as the user gives them; `SearchedRange` is what follows from them for one space and one base
configuration. It is recorded, so that a resume asks for the same.
"""

import json
import sys
from dataclasses import dataclass
from typing import Any, TypeGuard

from search_spaces.space import Trial
from search_spaces.stub_trials import Choices, Distribution, FloatRange, IntRange, ask, middle, nearest, number_in_words

Number = int | float


_LARGEST = sys.float_info.max
"""A whole number may be larger, and then is not a number of a distribution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Numbers from `low` to `high`, both included."""

    low: Number
    high: Number
    log: bool | None = None
    """Whether the logarithm is searched evenly; None leaves it to the space, or to the width of the range."""

    def __post_init__(self) -> None:
        if not -_LARGEST <= self.low < self.high <= _LARGEST:
            raise ValueError(f"{self.low}..{self.high} is not a range; give two finite numbers, the smaller first.")
        if self.log and self.low <= 0:
            raise ValueError(f"{self} can't be logarithmic; begin above 0.")

    def __str__(self) -> str:
        return f"{number_in_words(self.low)}..{number_in_words(self.high)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOf:
    """One of two values or more."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if len(self.values) < 2:
            raise ValueError(f"{self} is one value; give two or more, or the value as it is.")
        for number, value in enumerate(self.values):
            if value in self.values[:number]:
                raise ValueError(f"{self} has {value} twice; give each value once.")

    def __str__(self) -> str:
        return ",".join(map(str, self.values))


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchedRange:
    """Plain data: what is asked for, where, and where trial 0 stands. A choice that is a list is asked for as JSON."""

    low: Number | None = None
    high: Number | None = None
    log: bool = False
    choices: tuple[str | bool | int | float | None, ...] | None = None
    """In place of `low` and `high`."""
    section: str | None = None
    """The part of the configuration that holds it: asked for only where that is on."""
    is_section_on: bool = True
    """Whether the base configuration has that part."""
    own_value: str | bool | int | float | None = None
    """The base configuration's value; trial 0 has the nearest one, unless the space has a default."""

    @property
    def distribution(self) -> Distribution:
        if self.choices is not None:
            return Choices(self.choices)
        if isinstance(self.low, int) and isinstance(self.high, int):
            return IntRange(self.low, self.high, log=self.log)
        assert self.low is not None
        assert self.high is not None
        return FloatRange(self.low, self.high, log=self.log)

    def drawn(self, name: str, trial: Trial) -> Any:
        """The value that the trial suggests."""
        answer = ask(trial, name, self.distribution)
        return json.loads(answer) if isinstance(answer, str) and answer.startswith("[") else answer

    def nearest(self, value: Any) -> Any:
        """The answer nearest to a value; of choices without an order the first."""
        distribution = self.distribution
        if isinstance(distribution, Choices):
            numbers = [choice for choice in distribution.values if is_number(choice)]
            if value in distribution.values or not (is_number(value) and numbers):
                return value if value in distribution.values else middle(distribution)
            return min(numbers, key=lambda choice: abs(choice - value))
        return nearest(distribution, value) if is_number(value) else middle(distribution)

    def __str__(self) -> str:
        if self.choices is not None:
            return ",".join(map(str, self.choices))
        return f"{number_in_words(self.low)}..{number_in_words(self.high)}"

    @property
    def in_words(self) -> str:
        return f"{self} (logarithmic)" if self.log else str(self)


def is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def as_answer(value: Any) -> Any:
    """A value as Optuna and the records hold it: a list as JSON text."""
    return json.dumps(value) if isinstance(value, list | tuple) else value
