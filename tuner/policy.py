"""What to do with a free slot: promote a waiting trial, begin a new one, or end the search.

What: from the top rung down, the waiting trial that may gain most at full length is promoted where the quota has room;
else the new configuration begins of which the same is expected. Both follow one forecast from all rungs. The first
configurations are random. When all trials have begun and no promotion is left, the first that was asked for, the
default with which all are compared, is trained to its full length; once nothing else runs, so is the best-expected one.
Source: own composition of asynchronous promotion (see promotion.py) and expected improvement at the full budget (Jones,
Schonlau, Welch, "Efficient Global Optimization", 1998, https://doi.org/10.1023/A:1008306431147); measured by
`python -m tuner.replay`.
Cost: some 5 ms for a decision after 1000 trials; a checkpoint and a restore for a pause. Off: `--policy asha`.

Knows neither Ray nor Optuna nor a clock: the same calls make the same decisions.
"""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from tuner.candidates import Candidate, CandidateSource
from tuner.outlook import NUM_GOOD, Forecaster, Outlook
from tuner.promotion import Promotions

STARTUP_RECORDS = 20
"""Values that are awaited before anything is promoted or modelled."""
MAX_CONTENDERS = 200
"""Trials of a rung, and of those that wait at it, of which anything is expected: a decision is not to take longer after
thousands of trials, and who is behind so many is not promoted."""
TRIES = 20
"""How often a random configuration is drawn at most until it is new."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Try this configuration."""

    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Promote:
    """Go on with this waiting trial, to the next rung or, last of all, to the full length."""

    trial: str
    to_epoch: int | None = None


class Rest(Enum):
    """Nothing to do for a free slot."""

    WAIT = "wait"
    """Until a running trial reports."""
    FINISHED = "finished"
    """For ever."""


Action = Begin | Promote | Rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a promoting search keeps to, from its begin to its end."""

    rung_epochs: tuple[int, ...]
    """Where trials pause, ascending."""
    max_epochs: int
    """The full length of a trial."""
    reduction_factor: int
    """One in so many goes on from a rung."""
    mode: str
    """`max` or `min`: which values are better."""
    slots: int
    """Trials at a time."""
    seed: int
    num_trials: int | None = None
    """Configurations to try; None for no end."""


class PromotingPolicy:
    """Decides, and remembers what it was told.

    Args:
        first: what to try before anything is drawn.
        forecaster: what expects a value at full length of every trial; a simulation has one of its own.
    """

    def __init__(
        self,
        source: CandidateSource,
        terms: Terms,
        *,
        first: Sequence[Candidate] = (),
        forecaster: Forecaster | None = None,
    ) -> None:
        self.promotions = Promotions(
            terms.rung_epochs, max_epochs=terms.max_epochs, reduction_factor=terms.reduction_factor
        )
        self._source, self._terms = source, terms
        self._forecaster = forecaster or Forecaster(terms.max_epochs)
        self._sign = {"max": 1.0, "min": -1.0}[terms.mode]
        wanted = terms.num_trials
        self._startup = STARTUP_RECORDS if wanted is None else min(STARTUP_RECORDS, wanted // 2)
        self._first = list(first)
        self._candidates: dict[str, Candidate] = {}
        self._imported: set[str] = set()
        self._contenders: set[str] = set()
        self._known: set[frozenset] = set()
        self._is_exhausted = False
        self._action: Action | None = None
        self._outlook: Outlook | None = None

    def action(self) -> Action:
        """For the next free slot; the same until something is told."""
        if self._action is None:
            self._action = self._decide()
        return self._action

    def begin(self, trial: str, candidate: Candidate, *, is_imported: bool = False) -> None:
        """An imported trial teaches, and is none of those that are to begin or that win."""
        self._candidates[trial] = candidate
        self._imported.update([trial] if is_imported else [])
        self._known.add(_identity(candidate))
        self._contenders.add(trial)
        self.promotions.start(trial)
        self._changed()

    def promote(self, promotion: Promote) -> None:
        self.promotions.promote(promotion.trial, to_epoch=promotion.to_epoch)
        self._changed()

    def record(self, trial: str, *, epoch: int, value: float) -> bool:
        """Takes in a finite result; True when the trial now waits."""
        waits = self.promotions.record(trial, epoch=epoch, value=self._sign * value)
        if waits or epoch in self.promotions.rungs:
            self._changed()
        return waits

    def reopen(self, trial: str) -> None:
        """The trial lost its process, and comes to where it waited once more."""
        self.promotions.reopen(trial)
        self._changed()

    def end(self, trial: str, *, is_bad: bool = False, may_win: bool = True) -> None:
        """The trial will not go on; `is_bad` when its configuration is to blame."""
        if is_bad:
            self.promotions.end_as_bad(trial)
        else:
            self.promotions.end(trial)
        if is_bad or not may_win:
            self._contenders.discard(trial)
        self._changed()

    def favourite(self) -> str | None:
        """The trial that is expected to be the best at full length; None before anything was measured."""
        expected = self.expected()
        return max(expected.keys() - self._imported, key=lambda trial: (expected[trial], trial), default=None)

    def own_values_at(self, epoch: int) -> dict[str, float]:
        """By trial of this search, as the rung knows them; nothing where there is no rung."""
        values = self.promotions.values_at(epoch) if epoch in self.promotions.rungs else {}
        return {trial: value for trial, value in values.items() if trial not in self._imported}

    def least_missed(self, *, kept: Collection[str] = ()) -> str | None:
        """The waiting trial, but for those, that the search can best do without; default and favourite last."""
        expected, late = self.expected(), (self._yardstick(), self.favourite())
        waiting = [trial for trial in self.promotions.paused if trial not in kept]
        return min(waiting, key=lambda t: (late.index(t) if t in late else -1, expected[t]), default=None)

    def expected(self) -> dict[str, float]:
        """At full length, more is better, by trial: of the best that have been measured and may win."""
        if self._outlook is None:
            leading = self.promotions.leading(MAX_CONTENDERS) & self._contenders
            measured = [trial for trial in self._candidates if trial in leading]
            if not measured:
                return {}
            self._outlook = self._forecaster.outlook(self.promotions, self._candidates, measured)
        return self._outlook.expected

    def _changed(self) -> None:
        self._action = self._outlook = None

    def _decide(self) -> Action:
        if len(self.promotions.running) >= self._terms.slots:
            return Rest.WAIT
        has_begun_all = self._is_exhausted or len(self._candidates) - len(self._imported) == self._terms.num_trials
        if has_begun_all or self.promotions.num_records >= self._startup:
            for waiting in self.promotions.promotable():
                return Promote(self._most_promising(waiting))
        if not has_begun_all:
            candidate = self._next_candidate()
            if candidate is not None:
                return Begin(candidate)
            self._is_exhausted = True
            return self._decide()
        return self._last_action()

    def _most_promising(self, waiting: Sequence[str]) -> str:
        """By what it may gain rather than by what is expected of it: where nothing has come far, all is uncertain, and
        without a promotion would attract new trials for ever."""
        expected = self.expected()
        waiting = [trial for trial in waiting if trial in expected]
        gains = self._outlook.improvement([self._candidates[trial] for trial in waiting])
        return max(zip(waiting, gains, strict=True), key=lambda pair: (pair[1], expected[pair[0]]))[0]

    def _last_action(self) -> Action:
        """Who is the favourite is settled when nothing runs; the default needs its full length whatever comes."""
        is_busy = bool(self.promotions.running)
        for trial in (None if is_busy else self.favourite(), self._yardstick()):
            if trial in self.promotions.paused and self.promotions.paused[trial] < self.promotions.rungs[-1]:
                return Promote(trial, to_epoch=self.promotions.rungs[-1])
        return Rest.WAIT if is_busy else Rest.FINISHED

    def _yardstick(self) -> str | None:
        """The trial of the first configuration that was asked for, the default of a search."""
        asked = _identity(self._first[0]) if self._first else None
        return next((trial for trial, one in self._candidates.items() if _identity(one) == asked), None)

    def _next_candidate(self) -> Candidate | None:
        """None when nothing new can be found."""
        for candidate in self._first:
            if _identity(candidate) not in self._known:
                return candidate
        generator = random.Random(f"{self._terms.seed}/{len(self._candidates)}")
        if self.promotions.num_records < self._startup or not self.expected():
            drawn = (self._source.any(generator) for _ in range(TRIES))
            return next((one for one in drawn if _identity(one) not in self._known), None)
        good = [self._candidates[trial] for trial in self._outlook.best[:NUM_GOOD]]
        drawn = self._source.draw(generator, near=good)
        new = [one for one in drawn if _identity(one) not in self._known]
        return new[int(np.argmax(self._outlook.improvement(new)))] if new else None


def _identity(candidate: Candidate) -> frozenset:
    return frozenset(candidate.params.items())
