"""Measures all sides in one run: each has its turn in every round, so a slow minute of the machine affects all."""

import logging
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Self, TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")

Measure = Callable[[], float]
"""One turn of one side: does the work and returns its number, such as its seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Median and quartiles over the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Computes the spread of one or more values; quartiles are interpolated."""
        if len(values) == 1:
            return cls(median=values[0], low=values[0], high=values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median=median, low=low, high=high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Size of a benchmark: full, or tiny for tests."""

    rounds: int = 5
    is_tiny: bool = False

    def pick(self, full: T, tiny: T) -> T:
        return tiny if self.is_tiny else full


def interleaved(sides: Mapping[str, Measure], *, rounds: int, warmups: int = 1) -> dict[str, tuple[float, ...]]:
    """The numbers of each side, one a round.

    The order is drawn for each round: a side that often followed itself would find its memory in the cache.
    """
    numbers: dict[str, list[float]] = {name: [] for name in sides}
    draws = Random(0)
    for number in range(-warmups, rounds):
        for name in draws.sample(list(sides), len(sides)):
            logger.info("round %d of %d, %s", number + 1, rounds, name)
            value = sides[name]()
            if number >= 0:
                numbers[name].append(value)
    return {name: tuple(values) for name, values in numbers.items()}


def seconds_of(work: Callable[[], object], *, calls: int = 1) -> Measure:
    """Seconds of one call, as the mean of `calls` in a row."""

    def measure() -> float:
        began = time.perf_counter()
        for _ in range(calls):
            work()
        return (time.perf_counter() - began) / calls

    return measure


def ratios(values: Sequence[float], references: Sequence[float]) -> tuple[float, ...]:
    """Round by round, so that what slowed a whole round cancels."""
    return tuple(value / reference for value, reference in zip(values, references, strict=True))


def differences(values: Sequence[float], references: Sequence[float]) -> tuple[float, ...]:
    """Round by round, like `ratios`."""
    return tuple(value - reference for value, reference in zip(values, references, strict=True))
