"""All configurations of a space that holds few: it is asked again and again, the last answer that can be another first.

Cost: one call of the space for each configuration, and no more of them than are asked for.
"""

from collections.abc import Callable
from typing import Any

from search_spaces.space import Params
from search_spaces.stub_trials import Question, StubTrial


def configurations(space: Callable[[Any], Params], *, at_most: int) -> list[Params] | None:
    """What the space may ask for, by name; None where there is more than that."""
    found: list[Params] = []
    turns: list[int] | None = []
    while turns is not None and len(found) <= at_most:
        answers = _AnswersByTurn(turns)
        trial = StubTrial(answers)
        space(trial)
        found.append(trial.asked)
        turns = answers.following
    return found if turns is None and len(found) <= at_most else None


class _AnswersByTurn:
    """Answers each question with the alternative whose turn it is, the first one where no turn is given."""

    def __init__(self, turns: list[int]) -> None:
        self._turns = list(turns)
        self._counts: list[float] = []

    def __call__(self, name: str, question: Question) -> Any:
        place = len(self._counts)
        self._turns += [0] * (place == len(self._turns))
        self._counts.append(question.num_values)
        return question.nth(self._turns[place])

    @property
    def following(self) -> list[int] | None:
        """The turns of the next configuration; None after the last one."""
        for place in reversed(range(len(self._counts))):
            if self._turns[place] + 1 < self._counts[place]:
                return [*self._turns[:place], self._turns[place] + 1]
        return None
