"""Asynchronous successive halving, the stopping variant: which trials are worth their next epochs.

What: at fixed epochs (the rungs) a trial is compared with those that arrived there before it, and stops when it misses
the cutoff between the better `1 / reduction_factor` of them and the rest. The first to arrive passes. A value that is
not finite stops at once, at any epoch, and is never compared with.
Source: Li, Jamieson, Rostamizadeh, Gonina, Ben-tzur, Hardt, Recht, Talwalkar, "A System for Massively Parallel
Hyperparameter Tuning", MLSys 2020, https://arxiv.org/abs/1810.05934; in the form of Ray's AsyncHyperBandScheduler.
Cost: one percentile per rung and trial. Off: no rungs; then only values that are not finite stop a trial.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

CONTINUE, STOP, KEEP, PAUSE, PROMOTE = "continue", "stop", "keep", "pause", "promote"
"""The last two are those of the promoting policy alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Why a trial goes on or stops; the fields mean what they mean in `records.DecisionRecord`."""

    epoch: int
    rung: int | None
    value: float
    cutoff: float | None
    rank: int | None
    of: int
    action: str


class PastDecision(Protocol):
    """What `Rungs.replayed` needs to know of a decision."""

    trial: str
    epoch: int
    value: float | None


def rung_epochs(*, grace_epochs: int, max_epochs: int, reduction_factor: int) -> tuple[int, ...]:
    """The epochs of the rungs, ascending. There is none at `max_epochs`, where nothing is left to save."""
    if not 1 <= grace_epochs <= max_epochs:
        raise ValueError(f"grace_epochs is {grace_epochs}, but must be from 1 to max_epochs ({max_epochs})")
    if reduction_factor < 2:
        raise ValueError(f"reduction_factor is {reduction_factor}, but must be a whole number of at least 2")
    epochs, epoch = [], grace_epochs
    while epoch < max_epochs:
        epochs.append(epoch)
        epoch *= reduction_factor
    return tuple(epochs)


class Rungs:
    """The values that have arrived at each rung, in order of arrival."""

    def __init__(self, epochs: Iterable[int], *, reduction_factor: int, mode: str) -> None:
        self._arrived: dict[int, dict[str, float]] = {epoch: {} for epoch in sorted(epochs)}
        self._kept_share = 1 / reduction_factor
        self._sign = {"max": 1.0, "min": -1.0}[mode]

    @classmethod
    def replayed(
        cls, epochs: Iterable[int], decisions: Iterable[PastDecision], *, reduction_factor: int, mode: str
    ) -> Self:
        """The rungs as they stood after these decisions: the records are the only memory of a search."""
        rungs = cls(epochs, reduction_factor=reduction_factor, mode=mode)
        for decision in decisions:
            if decision.value is not None:
                rungs.record(decision.trial, epoch=decision.epoch, value=decision.value)
        return rungs

    def record(self, trial: str, *, epoch: int, value: float) -> Decision | None:
        """Takes in one result; None where there is nothing to decide.

        A trial enters a rung only at that very epoch, so that one restored later does not fill lower rungs with late
        values. A trial that comes again (its last epoch was repeated) gets the decision that it got.
        """
        number = self._number(epoch)
        if not math.isfinite(value):
            of = len(self._arrived.get(epoch, ()))
            return Decision(epoch=epoch, rung=number, value=value, cutoff=None, rank=None, of=of, action=STOP)
        if number is None:
            return None
        arrived = self._arrived[epoch]
        value = arrived.setdefault(trial, value)
        return self._decide(value, list(arrived.values())[: list(arrived).index(trial)], epoch=epoch, rung=number)

    def _number(self, epoch: int) -> int | None:
        return list(self._arrived).index(epoch) + 1 if epoch in self._arrived else None

    def _decide(self, value: float, earlier: list[float], *, epoch: int, rung: int) -> Decision:
        goodness, others = self._sign * value, self._sign * np.array(earlier)
        cutoff = float(np.percentile(others, (1 - self._kept_share) * 100)) if earlier else None
        return Decision(
            epoch=epoch,
            rung=rung,
            value=value,
            cutoff=None if cutoff is None else self._sign * cutoff,
            rank=1 + int((others > goodness).sum()),
            of=len(earlier) + 1,
            action=STOP if cutoff is not None and goodness < cutoff else CONTINUE,
        )
