"""Checks what a space asks for, before a search and not in the middle of it."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from search_spaces.stub_trials import (
    Choices,
    Distribution,
    FloatRange,
    IntRange,
    StubTrial,
    drawn_answers,
    in_words,
    nearest,
)

MOST_QUESTIONS = 10_000
"""Most questions for one configuration: a space that asks more often waits for an answer that never comes."""
EXACT = 2**53
"""Samplers compute in double precision, which holds no larger whole number exactly."""
_NUM_REPEATED = 20
"""Configurations that are asked for twice: a branch that is taken at random is seen in one of them."""


class WrongQuestionError(ValueError):
    """A space asks for what no sampler can propose."""


class CheckedTrial(StubTrial):
    """Checks each question, then answers with an end, the inside of a range, or a choice.

    Args:
        seed: of the answers.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(drawn_answers(seed))
        self._num_questions = 0

    def _ask(self, name: str, distribution: Distribution) -> Any:
        self._num_questions += 1
        if self._num_questions > MOST_QUESTIONS:
            raise WrongQuestionError(f"{name} is asked for again and again; it has one answer in a configuration")
        check_question(name, distribution)
        earlier = self.distributions.get(name, distribution)
        if earlier != distribution:
            raise WrongQuestionError(
                f"{name} is asked for twice in a configuration, over {in_words(earlier)} and {in_words(distribution)}; "
                "give one of them another name"
            )
        return super()._ask(name, distribution)


def check_question(name: object, distribution: Distribution) -> None:
    """Raises WrongQuestionError for a name, a range or choices that no sampler can propose from."""
    if not (isinstance(name, str) and name.strip() and name.isprintable()):
        raise WrongQuestionError(f"a parameter is called {name!r}; give it a name of letters")
    if isinstance(distribution, Choices):
        _check_choices(name, distribution)
    else:
        _check_range(name, distribution)


def check_same_kind(asked: Mapping[str, Distribution], later: Mapping[str, Distribution]) -> None:
    """Raises ValueError for a name that another configuration asks for in a way that no sampler can learn from."""
    for name in asked.keys() & later.keys():
        one, other = asked[name], later[name]
        are_choices = isinstance(one, Choices) and isinstance(other, Choices)
        is_other_scale = not isinstance(one, Choices) and not isinstance(other, Choices) and one.log != other.log
        if type(one) is not type(other) or is_other_scale or (are_choices and in_words(one) != in_words(other)):
            raise ValueError(
                f"{name} is asked for over {in_words(one)} and, in another configuration, over {in_words(other)}; give "
                "one of them another name"
            )


def check_repeatable(suggest: Callable[[Any], Any]) -> None:
    """Raises ValueError for a space that asks for something else, or returns another value, after the same answers.

    A resume and a confirmation call it again with the answers on record.
    """
    for seed in range(_NUM_REPEATED):
        first, second = CheckedTrial(seed), CheckedTrial(seed)
        returned, again = suggest(first), suggest(second)
        if first.distributions != second.distributions:
            shown = [
                ", ".join(f"{name}={in_words(one)}" for name, one in trial.distributions.items())
                for trial in (first, second)
            ]
            raise ValueError(
                f"the space asks for {shown[0]}, and called again for {shown[1]}; a resume calls it again: let its "
                "ranges depend on its answers alone"
            )
        for name, value in returned.items():
            # As text, in which a NaN equals itself; what no record can hold is reported elsewhere.
            if isinstance(value, bool | int | float | str | tuple) and repr(value) != repr(again.get(name)):
                raise ValueError(
                    f"the space returns {name}={value!r:.40}, and called again with the same answers "
                    f"{again.get(name)!r:.40}; a resume calls it again: ask the trial for what varies, and draw nothing"
                )


def is_answer(value: Any, distribution: Distribution) -> bool:
    """Whether a value is one of those that are asked for."""
    if isinstance(distribution, Choices):
        return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in distribution.values)
    kind: Callable[[Any], bool] = _is_whole if isinstance(distribution, IntRange) else _is_number
    # A range that is computed may miss its ends and its steps by a rounding.
    slack = 1e-9 * (distribution.high - distribution.low)
    return kind(value) and abs(value - nearest(distribution, value)) <= slack


def _check_range(name: str, distribution: FloatRange | IntRange) -> None:
    low, high, step, log = distribution
    is_whole = isinstance(distribution, IntRange)
    is_right, kind = (_is_whole, "whole numbers (int)") if is_whole else (_is_number, "numbers")
    given = f"{name} is asked for from {low!r} to {high!r}"
    if not (is_right(low) and is_right(high) and (step is None or is_right(step))):
        of_step = "" if step in (None, 1) else f" in steps of {step!r}"
        raise WrongQuestionError(f"{given}{of_step}; give finite {kind}")
    if low > high:
        raise WrongQuestionError(f"{given}; give the smaller first")
    if step is not None and step <= 0:
        raise WrongQuestionError(f"{given} in steps of {step!r}; give a step above 0")
    if log and (low <= 0 or step not in (None, 1)):
        raise WrongQuestionError(f"{given} with log; give a range above 0 and no step, or leave log out")
    if not math.isfinite(high / low if log else float(high) - float(low)):
        raise WrongQuestionError(f"{given}; samplers compute with its width, which is no number: give a narrower one")
    if is_whole and max(-low, high) > EXACT:
        raise WrongQuestionError(
            f"{given}; samplers tell whole numbers apart up to {EXACT}: ask for its logarithm, or choices"
        )


def _check_choices(name: str, distribution: Choices) -> None:
    values = list(distribution.values)
    if not values:
        raise WrongQuestionError(f"{name} is asked for with no choices; give one or more")
    for index, value in enumerate(values):
        if not _is_plain(value):
            raise WrongQuestionError(
                f"{name} has the choice {value!r:.80}, which no record can hold; choices are None, True, False, finite "
                "numbers, text and tuples of them: give a name that your code looks up"
            )
        if value in values[:index]:
            equal = values[values.index(value)]
            raise WrongQuestionError(f"{name} has the choices {equal!r} and {value!r}, which are equal; give each once")


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
