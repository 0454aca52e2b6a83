"""The base of every sampler, and the simplest one."""

import random
from collections.abc import Iterable

from tuner.policy.candidates import Candidate, CandidateSource
from tuner.policy.outcomes import Outcome


class Sampler:
    """Draws configurations, and learns from their results. Without overrides it has no preference and learns nothing.

    Args:
        source: random configurations, independent of the results.
    """

    def __init__(self, source: CandidateSource) -> None:
        self.source = source

    def draw(self, generator: random.Random) -> Iterable[Candidate]:
        """Configurations to try next, the best first; some may have been tried. Empty without a preference."""
        return ()

    def start(self, trial: str, candidate: Candidate) -> None:
        """A trial of it starts."""

    def report(self, trial: str, *, epoch: int, value: float) -> None:
        """A finite result; of a repeated epoch the last one counts."""

    def pause(self, trial: str) -> None:
        """It waits, perhaps for good: its values so far count as those of an ended trial."""

    def end(self, trial: str, outcome: Outcome) -> None:
        """It has ended."""


class RandomSampler(Sampler):
    """Draws at random."""
