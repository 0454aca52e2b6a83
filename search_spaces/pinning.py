"""A space in one situation, with some parameters fixed by the user (`--set name=value`).

A pinned parameter is not suggested by Optuna, so that the sampler learns nothing from a fixed value; parameters that
depend on it are suggested, or not, as if it had been drawn.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from search_spaces.space import Params, Situation, Space, Trial
from search_spaces.stub_trials import Choices, Distribution, IntRange, StubTrial, ends_or_inside, given_or_middle

NUM_DRAWS = 200
"""Configurations drawn to find a space's parameters: enough for branches that 1 in 30 takes."""


class PinnedSpace:
    """Maps a trial to the parameters of one configuration. Picklable.

    Args:
        pins: fixed values by name, of parameters that the space asks for or returns as constants.

    Raises:
        ValueError: a pin is unknown or has no effect.
    """

    def __init__(self, space: Space, situation: Situation, *, pins: Mapping[str, Any] | None = None) -> None:
        self._space = space
        self._situation = situation
        self._pins = dict(pins or {})
        asked, returned = self._parameter_names()
        self._fixed = returned - asked
        for values in self._own_values():
            assert values.keys() <= asked, f"{space.name} never asks for {values.keys() - asked}"
        self._check_pins(known=asked | returned)

    def __call__(self, trial: Trial) -> Params:
        # A decision draws 300 candidates, most of them of a search without pins.
        answering = _pinned_trial(trial, self._pins) if self._pins else trial
        params = self._space.suggest(answering, self._situation)
        return params | {name: self._pins[name] for name in self._pins.keys() & params.keys() & self._fixed}

    def points_to_evaluate(self) -> list[Params]:
        """Answers to try first: the defaults, then the recommended; without pinned parameters and duplicates."""
        points = []
        for values in self._own_values():
            trial = given_or_middle(values)
            self(trial)
            if trial.params not in points:
                points.append(trial.params)
        return points

    def _own_values(self) -> list[Params]:
        defaults = self._space.defaults(self._situation)
        return [defaults, *(defaults | values for values in self._space.recommended(self._situation))]

    def _parameter_names(self) -> tuple[set[str], set[str]]:
        """All names that the space may ask for, and all that it may return, before pinning."""
        asked: set[str] = set()
        returned: set[str] = set()
        for seed in range(NUM_DRAWS):
            trial = ends_or_inside(seed)
            returned |= self._space.suggest(trial, self._situation).keys()
            asked |= trial.params.keys()
        return asked, returned

    def _check_pins(self, *, known: set[str]) -> None:
        in_effect = set(self._fixed)
        for seed in range(NUM_DRAWS):
            trial = _pinned_trial(ends_or_inside(seed), self._pins)
            self._space.suggest(trial, self._situation)
            in_effect |= trial.params.keys()
        for name in self._pins:
            if name not in known:
                raise ValueError(_unknown(name, known=known, space=self._space.name))
            if name not in in_effect:
                others = " ".join(f"--set {other}={value}" for other, value in self._pins.items() if other != name)
                raise ValueError(
                    f"--set {name}={self._pins[name]} has no effect together with {others}: leave one of them out"
                )


def _pinned_trial(trial: Trial, pins: Mapping[str, Any]) -> StubTrial:
    """Returns pinned values, and passes other calls to the trial."""
    return StubTrial(
        lambda name, distribution: (
            _checked(name, pins[name], distribution) if name in pins else distribution.passed_on(trial, name)
        )
    )


def _checked(name: str, value: Any, distribution: Distribution) -> Any:
    """The pinned value in the type of an answer; raises ValueError where it has another one."""
    if isinstance(distribution, Choices):
        if type(value) not in {type(choice) for choice in distribution.values}:
            raise ValueError(_wrong_type(name, value, f"like one of {', '.join(map(str, distribution.values))}"))
        return value
    is_whole = isinstance(distribution, IntRange)
    if isinstance(value, bool) or not isinstance(value, int if is_whole else int | float):
        kind = "a whole number" if is_whole else "a number"
        raise ValueError(
            _wrong_type(name, value, f"{kind}, such as from {distribution.low:g} to {distribution.high:g}")
        )
    return value if is_whole else float(value)


def _unknown(name: str, *, known: Iterable[str], space: str) -> str:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
    return f"the space {space} has no parameter {name!r}; the nearest is {nearest!r}, all: {', '.join(sorted(known))}"


def _wrong_type(name: str, value: Any, allowed: str) -> str:
    return f"--set {name} is {value!r}; it must be {allowed}"
