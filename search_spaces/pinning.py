"""A space in one situation, with some parameters fixed by the user (`--set name=value`).

A pinned parameter is not asked of Optuna at all, so that nothing is learned about a choice that was not made;
parameters that depend on it are asked, or not, as they would be had it been drawn.
"""

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from search_spaces.space import Params, Situation, Space, Trial
from search_spaces.stub_trials import AnsweredTrial, RandomTrial

REHEARSALS = 200
"""Configurations drawn to learn what a space asks for: enough for branches that one in thirty takes."""


class PinnedSpace:
    """Callable on a trial: returns the parameters of one configuration. Picklable.

    `pins` are fixed values by name, of parameters that the space asks for or that it leaves fixed for all.
    """

    def __init__(self, space: Space, situation: Situation, *, pins: Mapping[str, Any] | None = None) -> None:
        self._space = space
        self._situation = situation
        self._pins = dict(pins or {})
        asked, returned = self._time_steps()
        self._fixed = returned - asked
        self._check_own_values(asked)
        self._check_pins(known=asked | returned)

    def __call__(self, trial: Trial) -> Params:
        params = self._space.suggest(_PinnedTrial(trial, self._pins), self._situation)
        return params | {name: self._pins[name] for name in self._pins.keys() & params.keys() & self._fixed}

    def first_points(self) -> list[Params]:
        """What to try first: the defaults, then the recommended; of each only what is still asked for, none twice."""
        points = []
        for values in self._own_values():
            trial = AnsweredTrial(values)
            self(trial)
            if trial.asked not in points:
                points.append(trial.asked)
        return points

    def _own_values(self) -> list[Params]:
        defaults = self._space.defaults(self._situation)
        return [defaults, *(defaults | values for values in self._space.recommended(self._situation))]

    def _time_steps(self) -> tuple[set[str], set[str]]:
        """All names that the space may ask for, and all that it may return, without pins."""
        asked: set[str] = set()
        returned: set[str] = set()
        for seed in range(REHEARSALS):
            trial = RandomTrial(seed)
            returned |= self._space.suggest(trial, self._situation).keys()
            asked |= trial.asked.keys()
        return asked, returned

    def _check_own_values(self, asked: set[str]) -> None:
        for values in self._own_values():
            assert values.keys() <= asked, f"{self._space.name} never asks for {values.keys() - asked}"

    def _check_pins(self, *, known: set[str]) -> None:
        in_effect = set(self._fixed)
        for seed in range(REHEARSALS):
            trial = _PinnedTrial(RandomTrial(seed), self._pins)
            self._space.suggest(trial, self._situation)
            in_effect |= trial.answered
        for name in self._pins:
            if name not in known:
                raise ValueError(_unknown(name, known=known, space=self._space.name))
            if name not in in_effect:
                raise ValueError(_without_effect(name, self._pins))


def parse_pins(assignments: Iterable[str]) -> dict[str, Any]:
    """`["max_lr=3e-4", "averaging=true"]` as names and values: JSON or Python's constants, else text."""
    pins = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not (name and equals and value):
            raise ValueError(f"--set was given {assignment!r}, but takes name=value, such as --set max_lr=3e-4")
        if name in pins:
            raise ValueError(f"--set {name} was given twice: leave one of them out")
        pins[name] = _parse_value(value)
    return pins


def _parse_value(text: str) -> Any:
    if text in _PYTHON_CONSTANTS:
        return _PYTHON_CONSTANTS[text]
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


_PYTHON_CONSTANTS = {"True": True, "False": False, "None": None}


class _PinnedTrial:
    """Answers for the pinned parameters and passes on the other questions."""

    def __init__(self, trial: Trial, pins: Mapping[str, Any]) -> None:
        self._trial = trial
        self._pins = pins
        self.answered: set[str] = set()

    def suggest_float(self, name: str, low: float, high: float, **options) -> float:
        if name not in self._pins:
            return self._trial.suggest_float(name, low, high, **options)
        value = self._answer(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(_wrong_type(name, value, f"a number, as from {low:g} to {high:g}"))
        return float(value)

    def suggest_int(self, name: str, low: int, high: int, **options) -> int:
        if name not in self._pins:
            return self._trial.suggest_int(name, low, high, **options)
        value = self._answer(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(_wrong_type(name, value, f"a whole number, as from {low} to {high}"))
        return value

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        if name not in self._pins:
            return self._trial.suggest_categorical(name, choices)
        value = self._answer(name)
        if type(value) not in {type(choice) for choice in choices}:
            raise ValueError(_wrong_type(name, value, f"like one of {', '.join(map(str, choices))}"))
        return value

    def _answer(self, name: str) -> Any:
        self.answered.add(name)
        return self._pins[name]


def _unknown(name: str, *, known: Iterable[str], space: str) -> str:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
    return f"the space {space} has no parameter {name!r}; the nearest is {nearest!r}, all: {', '.join(sorted(known))}"


def _without_effect(name: str, pins: Mapping[str, Any]) -> str:
    others = " ".join(f"--set {other}={value}" for other, value in pins.items() if other != name)
    return f"--set {name}={pins[name]} has no effect together with {others}: leave one of them out"


def _wrong_type(name: str, value: Any, allowed: str) -> str:
    return f"--set {name} was given {value!r}, but must be {allowed}"
