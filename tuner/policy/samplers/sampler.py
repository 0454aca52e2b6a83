"""The interface of a sampler, and the simplest one."""

import random
from collections.abc import Iterable
from typing import Protocol

from tuner.policy.candidates import Candidate, CandidateSource
from tuner.policy.outcomes import Outcome


class Sampler(Protocol):
    """Draws configurations, and learns from their results."""

    def any(self, generator: random.Random) -> Candidate:
        """A random configuration, independent of the results."""

    def draw(self, generator: random.Random) -> Iterable[Candidate]:
        """Configurations to try next, the best first; some may have been tried. Empty without a preference."""

    def start(self, trial: str, candidate: Candidate) -> None:
        """A trial of it starts."""

    def report(self, trial: str, *, epoch: int, value: float) -> None:
        """A finite result; of a repeated epoch the last one counts."""

    def pause(self, trial: str) -> None:
        """It waits, perhaps for good: its values so far count as those of an ended trial."""

    def end(self, trial: str, outcome: Outcome) -> None:
        """It has ended."""


class RandomSampler:
    """Draws at random, and learns nothing."""

    def __init__(self, source: CandidateSource) -> None:
        self._source = source

    def any(self, generator: random.Random) -> Candidate:
        return self._source.any(generator)

    def draw(self, generator: random.Random) -> Iterable[Candidate]:
        return ()

    def start(self, trial: str, candidate: Candidate) -> None: ...

    def report(self, trial: str, *, epoch: int, value: float) -> None: ...

    def pause(self, trial: str) -> None: ...

    def end(self, trial: str, outcome: Outcome) -> None: ...
