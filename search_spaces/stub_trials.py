"""A trial that answers a space without Optuna: to find its parameters, to pin, to enumerate, to draw candidates.

Its answers come from a function of a parameter's name and distribution: its range, or its choices. `params` and
`distributions` are those of an Optuna trial.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from search_spaces.space import Params, Trial


class FloatRange(NamedTuple):
    """The distribution of a number: its range."""

    low: float
    high: float
    step: float | None = None
    log: bool = False

    @property
    def middle(self) -> float:
        middle = math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2
        return self.nearest(middle)

    @property
    def num_values(self) -> float:
        """Number of values; infinite without a step."""
        if self.step is None:
            return 1 if self.low == self.high else math.inf
        return round((self.high - self.low) / self.step) + 1

    def nth(self, index: int) -> float:
        return self.low if self.step is None else self.low + self.step * index

    def ends_or_inside(self, generator: random.Random) -> float:
        return generator.choice((self.low, self.high, self.nearest(generator.uniform(self.low, self.high))))

    def nearest(self, value: float) -> float:
        """The answer that comes nearest to the value."""
        stepped = value if self.step is None else self.low + self.step * round((value - self.low) / self.step)
        return min(max(stepped, self.low), self.high)

    def passed_on(self, trial: Trial, name: str) -> float:
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)


class IntRange(NamedTuple):
    """The distribution of a whole number: its range."""

    low: int
    high: int
    step: int = 1
    log: bool = False

    @property
    def middle(self) -> int:
        middle = math.isqrt(self.low * self.high) if self.log else (self.low + self.high) // 2
        return self.low + (middle - self.low) // self.step * self.step

    @property
    def num_values(self) -> float:
        return (self.high - self.low) // self.step + 1

    def nth(self, index: int) -> int:
        return self.low + self.step * index

    def ends_or_inside(self, generator: random.Random) -> int:
        return generator.choice((self.low, self.high, self.nearest(generator.uniform(self.low, self.high))))

    def nearest(self, value: float) -> int:
        stepped = self.low + self.step * round((value - self.low) / self.step)
        return min(max(stepped, self.low), self.high)

    def passed_on(self, trial: Trial, name: str) -> int:
        return trial.suggest_int(name, self.low, self.high, step=self.step, log=self.log)


class Choices(NamedTuple):
    """The distribution of one of these."""

    values: Sequence[Any]

    @property
    def middle(self) -> Any:
        return self.values[0]

    @property
    def num_values(self) -> float:
        return len(self.values)

    def nth(self, index: int) -> Any:
        return self.values[index]

    def ends_or_inside(self, generator: random.Random) -> Any:
        return generator.choice(self.values)

    def passed_on(self, trial: Trial, name: str) -> Any:
        return trial.suggest_categorical(name, self.values)


Distribution = FloatRange | IntRange | Choices


def in_words(distribution: Distribution) -> str:
    """
    >>> in_words(FloatRange(1e-4, 0.1, log=True)), in_words(IntRange(2, 8, 2)), in_words(Choices(["adamw", "sgd"]))
    ('0.0001..0.1 (logarithmic)', '2..8 in steps of 2', 'adamw,sgd')
    """
    if isinstance(distribution, Choices):
        return ",".join(map(str, distribution.values))
    low, high, step, log = distribution
    steps = f" in steps of {step:g}" if step not in (None, 1) else ""
    return f"{low:g}..{high:g}{steps}{' (logarithmic)' if log else ''}"


class StubTrial:
    """Asks for each answer once, and keeps it and its distribution by name.

    Args:
        answer: of a parameter's name and distribution; what it returns is not checked here.
    """

    def __init__(self, answer: Callable[[str, Distribution], Any]) -> None:
        self._answer = answer
        self.params: Params = {}
        """The answers by name, in the order in which they were asked for."""
        self.distributions: dict[str, Distribution] = {}

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False) -> Any:
        return self._ask(name, FloatRange(low, high, step, log))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> Any:
        return self._ask(name, IntRange(low, high, step, log))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._ask(name, Choices(choices))

    def _ask(self, name: str, distribution: Distribution) -> Any:
        if name in self.params:
            return self.params[name]
        answer = self.params[name] = self._answer(name, distribution)
        self.distributions[name] = distribution
        return answer


def given_or_middle(given: Mapping[str, Any]) -> StubTrial:
    """Answers with the given values, else with the middle of the range or the first choice."""
    return StubTrial(lambda name, distribution: given.get(name, distribution.middle))


def ends_or_inside(seed: int) -> StubTrial:
    """Draws its answers: each end of a range as often as the inside of it, and every choice equally often."""
    generator = random.Random(seed)
    return StubTrial(lambda name, distribution: distribution.ends_or_inside(generator))


def passing_on(trial: Trial) -> StubTrial:
    """Answers as the trial does, and remembers the distributions."""
    return StubTrial(lambda name, distribution: distribution.passed_on(trial, name))


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


class _AnswersByTurn:
    """Answers with the alternatives of the given turns, and with the first one beyond them."""

    def __init__(self, turns: list[int]) -> None:
        self._turns = list(turns)
        self._counts: list[float] = []

    def __call__(self, name: str, distribution: Distribution) -> Any:
        index = len(self._counts)
        self._turns += [0] * (index == len(self._turns))
        self._counts.append(distribution.num_values)
        return distribution.nth(self._turns[index])

    @property
    def following(self) -> list[int] | None:
        """The turns of the next configuration; None after the last one."""
        for index in reversed(range(len(self._counts))):
            if self._turns[index] + 1 < self._counts[index]:
                return [*self._turns[:index], self._turns[index] + 1]
        return None
