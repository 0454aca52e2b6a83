"""Trials that answer without Optuna, to learn what a space asks for."""

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from search_spaces.space import Params


class AnsweredTrial:
    """Answers from given values, else with the middle of the range, and remembers what it was asked."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given
        self.asked: Params = {}

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False):
        middle = math.sqrt(low * high) if log else (low + high) / 2
        return self._answer(name, middle if step is None else low + step * round((middle - low) / step))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        middle = math.isqrt(low * high) if log else (low + high) // 2
        return self._answer(name, low + (middle - low) // step * step)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._answer(name, choices[0])

    def _answer(self, name: str, otherwise: Any) -> Any:
        self.asked[name] = self._given.get(name, otherwise)
        return self.asked[name]


class RandomTrial:
    """Draws its answers, the ends of a range as often as the inside, and remembers what it was asked."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.asked: Params = {}

    def suggest_float(self, name: str, low: float, high: float, **options) -> float:
        return self._draw(name, (low, high, self._random.uniform(low, high)))

    def suggest_int(self, name: str, low: int, high: int, **options) -> int:
        return self._draw(name, (low, high))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._draw(name, choices)

    def _draw(self, name: str, choices: Sequence[Any]) -> Any:
        self.asked[name] = self._random.choice(choices)
        return self.asked[name]
