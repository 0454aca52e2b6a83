"""Successive halving, the promoting variant: who waits at which rung, and how many may go on.

What: a trial that reaches a rung pauses there. From each rung one in `reduction_factor` of those that have reached it
may be promoted to the next; the others wait, so that a better judgement later can still choose them. A trial that went
bad counts as one that reached its next rung, with the worst value there and at all before.
Source: Li, Jamieson, Rostamizadeh, Gonina, Ben-tzur, Hardt, Recht, Talwalkar, "A System for Massively Parallel
Hyperparameter Tuning", MLSys 2020, https://arxiv.org/abs/1810.05934: its asynchronous promotion, but the caller
picks which.
Cost: a checkpoint for each waiting trial. Off: `--policy asha`.
"""

import heapq
import math
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType


class Promotions:
    """The trials of a search by where they are; values are such that more is better.

    Args:
        rung_epochs: where trials pause, ascending; the full length is added.
    """

    def __init__(self, rung_epochs: Iterable[int], *, max_epochs: int, reduction_factor: int) -> None:
        self._rungs = (*(epoch for epoch in rung_epochs if epoch < max_epochs), max_epochs)
        self._reduction_factor = reduction_factor
        self._values: dict[int, dict[str, float]] = {epoch: {} for epoch in self._rungs}
        self._promoted: dict[int, set[str]] = {epoch: set() for epoch in self._rungs}
        self._running: dict[str, int] = {}
        self._paused: dict[str, int] = {}

    @property
    def rungs(self) -> tuple[int, ...]:
        return self._rungs

    @property
    def running(self) -> Mapping[str, int]:
        """The epoch at which each running trial will pause or be complete."""
        return MappingProxyType(self._running)

    @property
    def paused(self) -> Mapping[str, int]:
        """The epoch at which each waiting trial is."""
        return MappingProxyType(self._paused)

    @property
    def num_records(self) -> int:
        return sum(map(len, self._values.values()))

    def values_at(self, epoch: int) -> Mapping[str, float]:
        """By trial; -inf for one that went bad on its way there."""
        return MappingProxyType(self._values[epoch])

    def leading(self, count: int) -> set[str]:
        """Of those that came no further than a rung the best `count`, and the best `count` that wait there."""
        furthest = {trial: epoch for epoch, values in self._values.items() for trial in values}
        found: set[str] = set()
        for epoch, values in self._values.items():
            here = [trial for trial, last in furthest.items() if last == epoch]
            waiting = [trial for trial in here if trial in self._paused]
            found.update(*(heapq.nlargest(count, some, key=values.__getitem__) for some in (here, waiting)))
        return found

    def start(self, trial: str) -> None:
        self._running[trial] = self._rungs[0]

    def record(self, trial: str, *, epoch: int, value: float) -> bool:
        """Takes in one result, a repeated one once; True when the trial has come to where it pauses."""
        if epoch in self._values:
            self._values[epoch].setdefault(trial, value)
        if trial not in self._running or epoch < self._running[trial]:
            return False
        rung = self._paused[trial] = self._running.pop(trial)
        # A damaged checkpoint may start a trial over past its rung; what it has now stands for what is lost.
        self._values[rung].setdefault(trial, value)
        return True

    def promotable(self) -> Iterator[list[str]]:
        """For each rung that may promote one more, from the top down: those that wait there."""
        for epoch in reversed(self._rungs[:-1]):
            if (len(self._promoted[epoch]) + 1) * self._reduction_factor <= len(self._values[epoch]):
                waiting = [trial for trial, at in self._paused.items() if at == epoch]
                if waiting:
                    yield waiting

    def promote(self, trial: str, *, to_epoch: int | None = None) -> None:
        """Sends a waiting trial to the next rung; as far as said, it is none of those that the quota counts."""
        epoch = self._paused.pop(trial)
        if to_epoch is None:
            self._promoted[epoch].add(trial)
        self._running[trial] = to_epoch or self._rungs[self._rungs.index(epoch) + 1]

    def end(self, trial: str) -> None:
        """It will not go on: complete, stopped, or failed without blame."""
        self._running.pop(trial, None)
        self._paused.pop(trial, None)

    def end_as_bad(self, trial: str) -> None:
        """Its earlier values are taken back: they would speak well of its neighbours."""
        reached = self._running.get(trial, self._paused.get(trial, 0))
        for epoch in self._rungs:
            if epoch <= reached:
                self._values[epoch][trial] = -math.inf
        self.end(trial)
