"""New configurations, each once: first the requested ones, then drawn ones."""

import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from tuner.policy.candidates import Candidate

TRIES = 20
"""Most draws from a sampler for one new configuration."""
RANDOM_TRIES = 5000
"""Random draws without a new configuration after which the space counts as exhausted: the last ones of a skewed space
are drawn once in a thousand times. Takes a tenth of a second, once."""


class Proposals:
    """The configurations that have started, and the next one.

    Args:
        first: configurations to try before any is drawn; the first one is the default.
        num_trials: configurations to try; None is unlimited.
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
        self.default_trial: str | None = None
        """The trial of the default; None before it started."""
        self._known: set[frozenset] = set()
        self._num_started = 0
        self._random: Candidate | None = None
        self._has_drawn = False

    @property
    def are_all_started(self) -> bool:
        """Whether `num_trials` configurations have started, or all that the space holds."""
        is_enough = self._num_trials is not None and self._num_started >= self._num_trials
        return is_enough or (not self._first and self._random_one() is None)

    def add(self, trial: str, candidate: Candidate, *, is_past: bool = False) -> None:
        """The trial started, in this search or in a past one."""
        self._known.add(candidate.identity)
        self._has_drawn = False
        while self._first and not self._is_new(self._first[0]):
            self._first.popleft()
        if not is_past:
            self._num_started += 1
            if self.default_trial is None and candidate.identity == self._default:
                self.default_trial = trial

    def next(self, draw: Callable[[random.Random], Iterable[Candidate]]) -> Candidate:
        """The next configuration to start.

        Args:
            draw: candidates in order of preference, drawn with this proposal's generator; if none is new, a random
                one is used.

        Raises:
            LookupError: all have started.
        """
        if self._first:
            return self._first[0]
        found = next(filter(self._is_new, draw(self._generator())), None) or self._random_one()
        if found is None:
            raise LookupError("the space holds no new configuration")
        return found

    def _random_one(self) -> Candidate | None:
        """A new one, drawn once per proposal, so that the result does not depend on how often it is requested."""
        if not self._has_drawn:
            generator = self._generator()
            drawn = (self._draw_any(generator) for _ in range(RANDOM_TRIES))
            self._random, self._has_drawn = next(filter(self._is_new, drawn), None), True
        return self._random

    def _is_new(self, candidate: Candidate) -> bool:
        return candidate.identity not in self._known

    def _generator(self) -> random.Random:
        return random.Random(f"{self._seed}/{len(self._known)}")
