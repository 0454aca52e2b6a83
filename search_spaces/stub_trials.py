"""A trial that answers a space without Optuna: to find its parameters, to pin, to enumerate, to draw candidates.

Its answers come from a function of a parameter's name and distribution: its range, or its choices. `params` and
`distributions` are those of an Optuna trial.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

from search_spaces.space import Params, Trial


class FloatRange(NamedTuple):
    """The distribution of a number: its range."""

    low: float
    high: float
    step: float | None = None
    log: bool = False


class IntRange(NamedTuple):
    """The distribution of a whole number: its range."""

    low: int
    high: int
    step: int = 1
    log: bool = False


class Choices(NamedTuple):
    """The distribution of one of these."""

    values: Sequence[Any]


Distribution = FloatRange | IntRange | Choices


def ask(trial: Trial, name: str, distribution: Distribution) -> Any:
    """The trial's answer to the question that has this distribution."""
    match distribution:
        case Choices(values=values):
            return trial.suggest_categorical(name, values)
        case IntRange(low=low, high=high, step=step, log=log):
            return trial.suggest_int(name, low, high, step=step, log=log)
        case FloatRange(low=low, high=high, step=step, log=log):
            return trial.suggest_float(name, low, high, step=step, log=log)


def highest(distribution: FloatRange | IntRange) -> float:
    """The highest answer: as in Optuna, steps need not meet the end of a range."""
    low, high, step, _ = distribution
    if step is None:
        return high
    if isinstance(distribution, IntRange):
        return low + (high - low) // step * step
    # In decimals, as Optuna does: 0.1 + 2 * 0.1 is above 0.3.
    first, end, width = (Decimal(str(number)) for number in (low, high, step))
    return float(first + (end - first) // width * width)


def nearest(distribution: FloatRange | IntRange, value: float) -> float:
    """The answer that comes nearest to the value."""
    low, _, step, _ = distribution
    stepped = value if step is None else low + step * round((value - low) / step)
    return min(max(stepped, low), highest(distribution))


def middle(distribution: Distribution) -> Any:
    """The answer in the middle of a range, of its logarithm where that is searched; the first choice."""
    match distribution:
        case Choices(values=values):
            return values[0]
        case IntRange(low=low, high=high, step=step, log=log):
            half_way = math.isqrt(low * high) if log else (low + high) // 2
            return low + (half_way - low) // step * step
        case FloatRange(low=low, high=high, log=log):
            return nearest(distribution, math.sqrt(low * high) if log else (low + high) / 2)


def with_tuples(value: Any) -> Any:
    """Turns the lists of JSON, at every depth, back into the tuples that hashable choices were."""
    return tuple(map(with_tuples, value)) if isinstance(value, list) else value


def in_words(distribution: Distribution) -> str:
    """
    >>> in_words(FloatRange(1e-4, 0.1, log=True)), in_words(IntRange(2, 8, 2)), in_words(Choices(["adamw", "sgd"]))
    ('0.0001..0.1 (logarithmic)', '2..8 in steps of 2', 'adamw,sgd')
    >>> in_words(IntRange(1, 1_048_576))
    '1..1048576'
    """
    if isinstance(distribution, Choices):
        return ",".join(map(str, distribution.values))
    low, high, step, log = distribution
    steps = f" in steps of {number_in_words(step)}" if step not in (None, 1) else ""
    return f"{number_in_words(low)}..{number_in_words(high)}{steps}{' (logarithmic)' if log else ''}"


def number_in_words(number: float | None) -> str:
    """A whole number with all its digits, another with six."""
    return str(number) if isinstance(number, int) else f"{number:g}"


@dataclass(eq=False)
class StubTrial:
    """Asks for each answer once, and keeps it and its distribution by name."""

    answer: Callable[[str, Distribution], Any]
    """Answers by a parameter's name and distribution; its answer is not checked here."""
    params: Params = field(default_factory=dict, init=False)
    """The answers by name, in the order in which they were asked for."""
    distributions: dict[str, Distribution] = field(default_factory=dict, init=False)

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False) -> Any:
        return self._ask(name, FloatRange(low, high, step, log))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> Any:
        return self._ask(name, IntRange(low, high, step, log))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._ask(name, Choices(choices))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"a space's trial has suggest_float, suggest_int and suggest_categorical, and no {name}",
            name=name,
            obj=self,
        )

    def _ask(self, name: str, distribution: Distribution) -> Any:
        if name in self.params:
            return self.params[name]
        answer = self.params[name] = self.answer(name, distribution)
        self.distributions[name] = distribution
        return answer


def given_or_middle(given: Mapping[str, Any]) -> StubTrial:
    """Answers with the given values, else with the middle of the range or the first choice."""
    return StubTrial(lambda name, distribution: given.get(name, middle(distribution)))


def ends_or_inside(seed: int) -> StubTrial:
    """Draws its answers: each end of a range as often as the inside of it, and every choice equally often."""
    return StubTrial(drawn_answers(seed))


def drawn_answers(seed: int) -> Callable[[str, Distribution], Any]:
    """The answers of `ends_or_inside`."""
    generator = random.Random(seed)

    def draw(name: str, distribution: Distribution) -> Any:
        if isinstance(distribution, Choices):
            return generator.choice(distribution.values)
        inside = nearest(distribution, generator.uniform(distribution.low, distribution.high))
        return generator.choice((distribution.low, highest(distribution), inside))

    return draw


def passing_on(trial: Trial) -> StubTrial:
    """Answers as the trial does, and remembers the distributions."""
    return StubTrial(partial(ask, trial))


def configurations(space: Callable[[Any], Params], *, at_most: int) -> list[Params] | None:
    """All configurations of a small space, as values by name; None if there are more than `at_most`.

    Calls the space once per configuration, and each time advances the last answer that can change.
    """
    found: list[Params] = []
    turns: list[int] | None = []
    while turns is not None and len(found) <= at_most:
        answers = _AnswersByTurn(turns)
        trial = StubTrial(answers)
        space(trial)
        found.append(trial.params)
        turns = answers.following
    return found if turns is None and len(found) <= at_most else None


@dataclass(eq=False)
class _AnswersByTurn:
    """Answers with the alternatives of the given turns, and with the first one beyond them."""

    _turns: list[int]
    _counts: list[float] = field(default_factory=list, init=False)

    def __call__(self, name: str, distribution: Distribution) -> Any:
        index = len(self._counts)
        self._turns += [0] * (index == len(self._turns))
        count, answer = _alternative(distribution, self._turns[index])
        self._counts.append(count)
        return answer

    @property
    def following(self) -> list[int] | None:
        """The turns of the next configuration; None after the last one."""
        for index in reversed(range(len(self._counts))):
            if self._turns[index] + 1 < self._counts[index]:
                return [*self._turns[:index], self._turns[index] + 1]
        return None


def _alternative(distribution: Distribution, turn: int) -> tuple[float, Any]:
    """Number of answers, infinite in a range without a step, and the answer of this turn."""
    match distribution:
        case Choices(values=values):
            return len(values), values[turn]
        case IntRange(low=low, high=high, step=step):
            return (high - low) // step + 1, low + step * turn
        case FloatRange(low=low, high=high, step=step):
            if step is None:
                return 1 if low == high else math.inf, low
            return round((highest(distribution) - low) / step) + 1, nearest(distribution, low + step * turn)
