"""Enumerates the configurations of a small space: calls it repeatedly, and advances the last answer that can change.

Cost: one call of the space per configuration, at most one more than `at_most`.
"""

from collections.abc import Callable
from typing import Any

from search_spaces.space import Params
from search_spaces.stub_trials import Distribution, StubTrial


def configurations(space: Callable[[Any], Params], *, at_most: int) -> list[Params] | None:
    """All configurations, as values by name; None if there are more than `at_most`."""
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
