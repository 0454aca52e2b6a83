"""New configurations, each once: first those that were asked for, then what is drawn."""

import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from tuner.policy.candidates import Candidate

TRIES = 20
"""How often a sampler is asked at most for a configuration that is new."""
RANDOM_TRIES = 200
"""How many random configurations are drawn before a space is taken to hold nothing new."""


class Proposals:
    """What was begun and what is to begin.

    Args:
        first: what to try before anything is drawn; the very first is the default.
        num_trials: configurations to try; None for no end.
        draw_any: any configuration, drawn with a generator.
    """

    def __init__(
        self,
        first: Sequence[Candidate],
        *,
        num_trials: int | None,
        seed: int,
        draw_any: Callable[[random.Random], Candidate],
    ) -> None:
        self._first, self._num_trials, self._seed, self._draw_any = deque(first), num_trials, seed, draw_any
        self._default = first[0].identity if first else None
        self._default_trial: str | None = None
        self._known: set[frozenset] = set()
        self._num_started = 0
        self._random: list[Candidate | None] = []

    @property
    def are_all_started(self) -> bool:
        """As many as were wanted, or all that the space holds."""
        is_enough = self._num_trials is not None and self._num_started >= self._num_trials
        return is_enough or (not self._first and self._random_one() is None)

    @property
    def default_trial(self) -> str | None:
        """The trial of the first configuration that was asked for; None before it began."""
        return self._default_trial

    def add(self, trial: str, candidate: Candidate, *, is_past: bool = False) -> None:
        """The trial began, in this search or in a past one."""
        self._known.add(candidate.identity)
        self._random.clear()
        while self._first and not self._is_new(self._first[0]):
            self._first.popleft()
        if not is_past:
            self._num_started += 1
            if self._default_trial is None and candidate.identity == self._default:
                self._default_trial = trial

    def next(self, draw: Callable[[random.Random], Iterable[Candidate]]) -> Candidate:
        """The next to begin, while not all are.

        Args:
            draw: candidates in the order of preference, drawn with the generator that belongs to this proposal; where
                none is new, any other will do.

        Raises:
            LookupError: all are started.
        """
        if self._first:
            return self._first[0]
        found = next(filter(self._is_new, draw(self._generator())), None) or self._random_one()
        if found is None:
            raise LookupError("the space holds nothing that is new")
        return found

    def _random_one(self) -> Candidate | None:
        """A new one, drawn once for each proposal: whether there is any must not depend on when somebody asks."""
        if not self._random:
            generator = self._generator()
            drawn = (self._draw_any(generator) for _ in range(RANDOM_TRIES))
            self._random.append(next(filter(self._is_new, drawn), None))
        return self._random[0]

    def _is_new(self, candidate: Candidate) -> bool:
        return candidate.identity not in self._known

    def _generator(self) -> random.Random:
        return random.Random(f"{self._seed}/{len(self._known)}")
