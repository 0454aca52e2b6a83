"""All configurations of a space that holds few: it is asked again and again, the last answer that can be another first.

Cost: one call of the space for each configuration, and no more of them than are asked for.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from search_spaces.space import Params


def configurations(space: Callable[[Any], Params], *, at_most: int) -> list[Params] | None:
    """What the space may ask for, by name; None where there is more than that."""
    found: list[Params] = []
    turns: list[int] | None = []
    while turns is not None and len(found) <= at_most:
        trial = _NextTrial(turns)
        space(trial)
        found.append(trial.asked)
        turns = trial.following
    return found if turns is None and len(found) <= at_most else None


class _NextTrial:
    """Answers each question with the alternative whose turn it is, the first one where no turn is given."""

    def __init__(self, turns: Sequence[int]) -> None:
        self._turns = list(turns)
        self._counts: list[float] = []
        self.asked: Params = {}

    @property
    def following(self) -> list[int] | None:
        """The turns of the next configuration; None after the last one."""
        for place in reversed(range(len(self._counts))):
            if self._turns[place] + 1 < self._counts[place]:
                return [*self._turns[:place], self._turns[place] + 1]
        return None

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False):
        if step is None:
            return self._answer(name, lambda turn: low, 1 if low == high else math.inf)
        return self._answer(name, lambda turn: low + step * turn, round((high - low) / step) + 1)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return self._answer(name, lambda turn: low + step * turn, (high - low) // step + 1)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._answer(name, choices.__getitem__, len(choices))

    def _answer(self, name: str, alternative: Callable[[int], Any], count: float) -> Any:
        if name not in self.asked:
            place = len(self._counts)
            self._turns += [0] * (place == len(self._turns))
            self._counts.append(count)
            self.asked[name] = alternative(self._turns[place])
        return self.asked[name]
