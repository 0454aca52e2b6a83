"""The rungs of `asha-stopping`: which trials continue at a rung, and which stop for good.

What: at fixed epochs (the rungs) a trial is compared with those that reached this rung earlier, and stops below the
cutoff between the best `1 / reduction_factor` of them and the rest. The first one passes. A trial that has no result of
exactly that epoch, because it restarted later, is not compared at this rung and continues.
Source: Li, Jamieson, Rostamizadeh, Gonina, Ben-tzur, Hardt, Recht, Talwalkar, "A System for Massively Parallel
Hyperparameter Tuning", MLSys 2020, https://arxiv.org/abs/1810.05934; in the form of Ray's AsyncHyperBandScheduler.
Cost: one binary search per rung and trial. Off: `--scheduler none`; trials that wait: promotion_rungs.py.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence

from tuner.policy.decision import CONTINUE, STOP, Decision
from tuner.policy.halving import sign_of


class StoppingRungs:
    """The decisions at each rung, and the values there as an ascending list, so that a decision is a binary search."""

    def __init__(self, epochs: Iterable[int], *, reduction_factor: int, mode: str) -> None:
        self._decisions: dict[int, dict[str, Decision]] = {epoch: {} for epoch in sorted(epochs)}
        self._arrived: dict[int, list[float]] = {epoch: [] for epoch in self._decisions}
        self._stopped_share = 1 - 1 / reduction_factor
        self._sign = sign_of(mode)

    def report(self, trial: str, *, epoch: int, value: float) -> Decision | None:
        """Adds one finite result; returns None when there is nothing to decide.

        A trial enters a rung only at exactly that epoch. A repeated epoch gets its first decision again.
        """
        if epoch not in self._decisions:
            return None
        decisions = self._decisions[epoch]
        if trial not in decisions:
            decisions[trial] = self._decide(value, epoch=epoch)
            insort(self._arrived[epoch], self._sign * value)
        return decisions[trial]

    def _decide(self, value: float, *, epoch: int) -> Decision:
        goodness, others = self._sign * value, self._arrived[epoch]
        cutoff = _quantile(others, self._stopped_share) if others else None
        return Decision(
            epoch=epoch,
            rung=list(self._decisions).index(epoch) + 1,
            value=value,
            cutoff=None if cutoff is None else self._sign * cutoff,
            rank=1 + len(others) - bisect_right(others, goodness),
            of=len(others) + 1,
            action=STOP if cutoff is not None and goodness < cutoff else CONTINUE,
        )


def _quantile(ascending: Sequence[float], share: float) -> float:
    """Bit-identical to numpy.percentile, which Ray uses, without sorting again."""
    position = share * (len(ascending) - 1)
    below = int(position)
    low, high = ascending[below], ascending[min(below + 1, len(ascending) - 1)]
    weight = position - below
    return high - (high - low) * (1 - weight) if weight >= 0.5 else low + (high - low) * weight
