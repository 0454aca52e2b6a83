"""The rungs of `asha`: which trials wait at which rung, and how many may continue.

What: a trial that reaches a rung pauses there. One in `reduction_factor` of the trials that have reached a rung may be
promoted to the next; the others wait, so that a later prediction can still choose them. A trial that diverged, ran out
of memory or collapsed counts as having reached its next rung, with the worst value there and at all earlier ones. A
trial that has no result of exactly its rung, because it restarted later, pauses at once with the value that it has.
Source: Li, Jamieson, Rostamizadeh, Gonina, Ben-tzur, Hardt, Recht, Talwalkar, "A System for Massively Parallel
Hyperparameter Tuning", MLSys 2020, https://arxiv.org/abs/1810.05934: its asynchronous promotion, but the caller
picks which (promoting.py), and no more than the quota ever leave a rung. In the paper any trial that is in the top now
may leave, even if earlier ones, promoted among few, have used up the quota.
Cost: a checkpoint for each waiting trial. Off: `--scheduler none`; trials that stop at once: stopping_rungs.py.
"""

import heapq
import math
from collections.abc import Iterable, Iterator
from statistics import median

from tuner.policy.outcomes import Outcome


class PromotionRungs:
    """The running and waiting trials of a search, and their values at the rungs; higher is better.

    Args:
        rung_epochs: epochs at which trials pause, ascending; the full length is added.
    """

    def __init__(self, rung_epochs: Iterable[int], *, max_epochs: int, reduction_factor: int) -> None:
        self.epochs = (*(epoch for epoch in rung_epochs if epoch < max_epochs), max_epochs)
        """The epochs of the rungs, ascending, with the full length as the last."""
        self.running: dict[str, int] = {}
        """The epoch at which each running trial will pause or be complete."""
        self.paused: dict[str, int] = {}
        """The epoch at which each waiting trial waits."""
        self.values: dict[int, dict[str, float]] = {epoch: {} for epoch in self.epochs}
        """Values by epoch and trial; -inf for a trial that ended as bad before it reached the epoch."""
        self.between: dict[str, tuple[int, float]] = {}
        """The last epoch and value of each running trial that has one since its last rung."""
        self._promoted: dict[int, set[str]] = {epoch: set() for epoch in self.epochs}
        self._reduction_factor = reduction_factor

    @property
    def num_values(self) -> int:
        return sum(map(len, self.values.values()))

    def leading(self, count: int) -> set[str]:
        """For each rung, the best `count` trials that got no further, and the best `count` that wait there."""
        furthest = {trial: epoch for epoch, values in self.values.items() for trial in values}
        found: set[str] = set()
        for epoch, values in self.values.items():
            here = [trial for trial, last in furthest.items() if last == epoch]
            waiting = [trial for trial in here if trial in self.paused]
            found.update(*(heapq.nlargest(count, some, key=values.__getitem__) for some in (here, waiting)))
        return found

    def expected(self) -> dict[str, float]:
        """Returns the last value of each trial, less what trials lose from that rung to their full length."""
        expected: dict[str, float] = {}
        for epoch, values in self.values.items():
            loss = self._loss_from(epoch)
            expected.update({trial: value - loss for trial, value in values.items()})
        for trial, (epoch, value) in self.between.items():
            passed = max((rung for rung in self.epochs if rung <= epoch), default=self.epochs[0])
            expected[trial] = value - self._loss_from(passed)
        return expected

    def _loss_from(self, epoch: int) -> float:
        """Returns the median loss of the trials with full length; 0 if they became no worse, or there are none."""
        before, full = self.values[epoch], self.values[self.epochs[-1]]
        losses = [before[trial] - full[trial] for trial in before.keys() & full.keys() if full[trial] > -math.inf]
        return max(0.0, median(losses)) if losses else 0.0

    def start(self, trial: str) -> None:
        self.running[trial] = self.epochs[0]

    def report(self, trial: str, *, epoch: int, value: float) -> bool:
        """Adds one result; a repeated one counts once. Returns whether the trial has reached where it pauses."""
        if epoch in self.values:
            self.values[epoch].setdefault(trial, value)
        if trial not in self.running:
            return False
        if epoch < self.running[trial]:
            self.between[trial] = (epoch, value)
            return False
        self.between.pop(trial, None)
        rung = self.paused[trial] = self.running.pop(trial)
        # A trial restarted after a damaged checkpoint may skip its rung; the present value replaces the lost one.
        self.values[rung].setdefault(trial, value)
        return True

    def promotable(self) -> Iterator[list[str]]:
        """The waiting trials of each rung that may promote one more, from the top rung down."""
        for epoch in reversed(self.epochs[:-1]):
            waiting = [trial for trial, at in self.paused.items() if at == epoch]
            quota = len(self.values[epoch]) // self._reduction_factor
            if waiting and len(self._promoted[epoch]) < quota:
                yield waiting

    def promote(self, trial: str, *, to_epoch: int | None = None) -> None:
        """Continues a waiting trial to the next rung, or to `to_epoch`, which does not count against the quota."""
        epoch = self.paused.pop(trial)
        if to_epoch is None:
            self._promoted[epoch].add(trial)
        self.running[trial] = to_epoch or next(rung for rung in self.epochs if rung > epoch)

    def end_with(self, trial: str, outcome: Outcome, *, last: float | None) -> None:
        """The trial has ended; of one that needs no more epochs the last value counts at full length.

        The earlier values of one that counts as bad become -inf: they would make similar configurations look good.
        """
        if outcome.keeps_last_value and last is not None:
            self.report(trial, epoch=self.epochs[-1], value=last)
        if outcome.counts_as_bad:
            reached = self.running.get(trial, self.paused.get(trial, 0))
            for epoch in self.epochs:
                if epoch <= reached:
                    self.values[epoch][trial] = -math.inf
        for trials in (self.running, self.between, self.paused):
            trials.pop(trial, None)
