"""New configurations, each once: first those that were asked for, then what is drawn."""

import random
from collections.abc import Callable, Iterable, Sequence

from tuner.policy.candidates import Candidate

TRIES = 20
"""How often a configuration is drawn at most until it is new."""


class Proposals:
    """What was begun and what is to begin.

    Args:
        first: what to try before anything is drawn; the very first is the default.
        num_trials: configurations to try; None for no end.
    """

    def __init__(self, first: Sequence[Candidate], *, num_trials: int | None, seed: int) -> None:
        self._first, self._num_trials, self._seed = list(first), num_trials, seed
        self._known: dict[frozenset, str] = {}
        self._num_begun = 0
        self._is_exhausted = False

    @property
    def are_all_begun(self) -> bool:
        return self._is_exhausted or self._num_begun == self._num_trials

    @property
    def default_trial(self) -> str | None:
        """The trial of the first configuration that was asked for; None before it began."""
        return self._known.get(self._first[0].identity) if self._first else None

    def add(self, trial: str, candidate: Candidate, *, is_past: bool = False) -> None:
        """The trial began, in this search or in a past one."""
        self._known.setdefault(candidate.identity, trial)
        self._num_begun += not is_past

    def next(self, draw: Callable[[random.Random], Iterable[Candidate]]) -> Candidate | None:
        """None when nothing new can be found, from then on for ever.

        Args:
            draw: candidates in the order of preference, drawn with the generator that belongs to this proposal.
        """
        for candidate in self._first:
            if candidate.identity not in self._known:
                return candidate
        generator = random.Random(f"{self._seed}/{len(self._known)}")
        found = next((one for one in draw(generator) if one.identity not in self._known), None)
        self._is_exhausted = found is None
        return found
