"""A space in one situation, with some parameters fixed by the user (`--set name=value`) or searched over a range of
theirs (`--set name=low..high`, `--set name=a,b,c`).

A pinned parameter is not suggested by Optuna, so that the sampler learns nothing from a fixed value; parameters that
depend on it are suggested, or not, as if it had been drawn. A range takes the place of the space's own, and is asked
for where the space asks for the parameter; one that the space does not ask for is asked for after the others, where the
part of the configuration that holds it is on.
"""

import difflib
from collections.abc import Mapping
from functools import partial
from typing import Any

from search_spaces.questions import CheckedTrial, check_repeatable, check_same_kind, is_answer
from search_spaces.ranges import SearchedRange, is_number
from search_spaces.space import Params, Situation, Space, Trial
from search_spaces.stub_trials import (
    Choices,
    Distribution,
    FloatRange,
    IntRange,
    StubTrial,
    ask,
    ends_or_inside,
    given_or_middle,
    in_words,
    middle,
    number_in_words,
)

NUM_DRAWS = 200
"""Configurations drawn to find a space's parameters: enough for branches that 1 in 30 takes."""
BATCH, IMAGES_PER_UPDATE, ACCUMULATION = "batch_size", "effective_batch", "accumulation_steps"
"""A space draws the images of an update and derives the other two; a range of `batch_size` is asked for instead."""


class PinnedSpace:
    """Maps a trial to the parameters of one configuration. Picklable.

    Args:
        pins: fixed values by name, of parameters that the space asks for or returns as constants.
        ranges: what is searched in place of the space's ranges, or of a value of the base configuration, by name.

    Raises:
        ValueError: a pin is unknown, or a pin or a range has no effect.
    """

    def __init__(
        self,
        space: Space,
        situation: Situation,
        *,
        pins: Mapping[str, Any] | None = None,
        ranges: Mapping[str, SearchedRange] | None = None,
    ) -> None:
        self._space = space
        self._situation = situation
        self._given = dict(pins or {})
        self._pins = self._given | (space.beside_own_network if situation.own_network else {})
        # Whether a part is on decides whether what is in it is asked for.
        self._ranges = dict(sorted((ranges or {}).items(), key=lambda item: item[1].section is not None))
        self.asked, returned = self._parameters()
        self._returned = returned - self.asked.keys()
        for values in self._values_to_try():
            if unasked := sorted(values.keys() - self.asked.keys()):
                names = ", ".join(unasked)
                raise ValueError(
                    f"the space {space.name} has a default or a recommended value of {names}, for which it never asks; "
                    "ask for it, or take the value out"
                )
        self._replaced = {IMAGES_PER_UPDATE: BATCH} if BATCH in self._ranges and IMAGES_PER_UPDATE in self.asked else {}
        self._check_effects(known={*self.asked, *returned})

    asked: dict[str, Distribution]
    """Parameters that the space asks for if nothing is pinned, each with its first range or choices."""

    def __call__(self, trial: Trial) -> Params:
        # A decision draws 300 candidates, most of them of a search without pins and ranges.
        if not self._pins and not self._ranges:
            return self._space.suggest(trial, self._situation)
        params = dict(self._space.suggest(self._answering(trial), self._situation))
        params |= {name: self._pins[name] for name in self._pins.keys() & params.keys() & self._returned}
        if self._replaced:
            params |= {ACCUMULATION: 1}
        for name, one in self._ranges.items():
            # One that the space returns only at times is its decision.
            if name in self.asked or (name in self._returned and name not in params):
                continue
            if one.section is None or params.get(one.section, one.is_section_on) not in (None, False):
                params[name] = self._ranges[name].drawn(name, trial)
        return params

    def pins_used_by(self, trial: Trial) -> Params:
        """The user's fixed values that the trial's configuration uses; the space asks for some only at times."""
        answering = self._answering(trial)
        returned = self._space.suggest(answering, self._situation).keys() & self._returned
        return {name: value for name, value in self._given.items() if name in answering.params or name in returned}

    def points_to_evaluate(self) -> list[Params]:
        """Answers to try first: the defaults, then the recommended; without pinned parameters and duplicates.

        A value outside the user's range becomes the nearest one inside.
        """
        points = []
        for values in self._values_to_try():
            trial = StubTrial(partial(self._nearest, values))
            self(trial)
            self._check_answered(values)
            if trial.params not in points:
                points.append(trial.params)
        return points

    def default_of(self, name: str) -> Any:
        """The value that trial 0 would have of a parameter with a range, were it not for the range."""
        return self._value_without_range(name, self._space.defaults(self._situation))

    def points_at_ends(self) -> list[Params]:
        """The default with each end of each range, or each choice, in turn."""
        default, points = self.points_to_evaluate()[0], []
        for name, one in self._ranges.items():
            distribution = one.distribution
            ends = distribution.values if isinstance(distribution, Choices) else (distribution.low, distribution.high)
            for end in ends:
                trial = given_or_middle({**default, name: end})
                self(trial)
                points.append(trial.params)
        return points

    def _answering(self, trial: Trial) -> StubTrial:
        """Returns pinned values, asks for the user's ranges, and passes other calls to the trial."""

        def answer(name: str, distribution: Distribution) -> Any:
            name = self._replaced.get(name, name)
            if name in self._pins:
                return _checked(name, self._pins[name], distribution)
            one = self._ranges.get(name)
            return ask(trial, name, distribution) if one is None else one.drawn(name, trial)

        return StubTrial(answer)

    def _check_answered(self, values: Params) -> None:
        """Raises ValueError where the space asks for more than these values: the middle of a range is nobody's default.

        What only a pin or a range of the user's brings in may be missing.
        """
        self._space.suggest(asked := given_or_middle(values), self._situation)
        if missing := sorted(asked.params.keys() - values.keys()):
            names = ", ".join(missing)
            raise ValueError(
                f"the space {self._space.name} asks for {names}, and its default or recommended values have none of "
                "it; give one"
            )

    def _nearest(self, values: Params, name: str, distribution: Distribution) -> Any:
        if name not in self._ranges:
            value = values.get(name, middle(distribution))
            if not is_answer(value, distribution):
                raise ValueError(
                    f"the default or recommended {name} is {value!r:.80}, but the space asks for "
                    f"{in_words(distribution)}; change one of them"
                )
            return value
        return self._ranges[name].nearest(self._value_without_range(name, values))

    def _value_without_range(self, name: str, values: Params) -> Any:
        own = {new: values[old] for old, new in self._replaced.items()} | values
        return own.get(name, self._ranges[name].own_value)

    def _values_to_try(self) -> list[Params]:
        """The defaults, then the recommended."""
        defaults = self._space.defaults(self._situation)
        return [defaults, *(defaults | values for values in self._space.recommended(self._situation))]

    def _parameters(self) -> tuple[dict[str, Distribution], set[str]]:
        """All that the space may ask for, and all names that it may return, before pinning."""
        asked: dict[str, Distribution] = {}
        returned: set[str] = set()
        for seed in range(NUM_DRAWS):
            trial = CheckedTrial(seed)
            returned |= self._space.suggest(trial, self._situation).keys()
            check_same_kind(asked, trial.distributions)
            asked = trial.distributions | asked
        check_repeatable(lambda trial: self._space.suggest(trial, self._situation))
        return asked, returned

    def _check_effects(self, *, known: set[str]) -> None:
        given = self._given | self._ranges
        for old, new in self._replaced.items():
            if old in given:
                raise ValueError(f"--set {new}={given[new]} takes the place of {old}: leave one of them out")
        in_effect, asked = set(self._returned), set[str]()
        for seed in range(NUM_DRAWS):
            trial = ends_or_inside(seed)
            answering = self._answering(trial)
            self._space.suggest(answering, self._situation)
            in_effect |= answering.params.keys()
            if self._ranges:
                self(drawn := ends_or_inside(seed))
                asked |= drawn.params.keys()
        for name in self._given:
            if name not in known:
                nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
                raise ValueError(
                    f"the space {self._space.name} has no parameter {name!r}; the nearest is {nearest!r}, all: "
                    f"{', '.join(sorted(known))}"
                )
        for name in [*(self._given.keys() - in_effect), *(self._ranges.keys() - asked)]:
            one = self._ranges.get(name)
            if one is not None and one.section is not None and not one.is_section_on and one.section not in known:
                raise ValueError(
                    f"--set {name}={one} has no effect, because {one.section} is off: add --set {one.section}=true"
                )
            others = " ".join(f"--set {other}={value}" for other, value in given.items() if other != name)
            together = f"together with {others}: leave one of them out" if others else "in this space: leave it out"
            raise ValueError(f"--set {name}={given[name]} has no effect {together}")


def _checked(name: str, value: Any, distribution: Distribution) -> Any:
    """The pinned value in the type of an answer; raises ValueError where it has another one."""
    if isinstance(distribution, Choices):
        is_allowed = type(value) in {type(choice) for choice in distribution.values}
        allowed = f"like one of {', '.join(map(str, distribution.values))}"
    else:
        is_whole = isinstance(distribution, IntRange)
        is_allowed = is_number(value) and (isinstance(value, int) or not is_whole)
        kind = "a whole number" if is_whole else "a number"
        allowed = f"{kind}, such as from {number_in_words(distribution.low)} to {number_in_words(distribution.high)}"
    if not is_allowed:
        raise ValueError(f"--set {name} is {value!r}; it must be {allowed}")
    return float(value) if isinstance(distribution, FloatRange) else value
