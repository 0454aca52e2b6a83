"""Constant predictions: a network that gives every image the same answer is told once, when that begins.

What: the metrics that end in `constant_share` say how much of the validation is answered alike: masks of nothing but 0
or of nothing but 1, or images that are called one class. When that is `LARGEST_SHARE` or more in two validations in a
row, the second logs a warning; a network from scratch may well begin with one. A later beginning is told again.
Overflow of 16 bits, too high a rate, and classes too uneven all end here, often with a falling loss.
Source: own.
Cost: counts that the metrics have anyway. Off: nothing is changed by it.
"""

import logging
from collections.abc import Mapping

logger = logging.getLogger(__name__)

LARGEST_SHARE = 0.99
ADVICE = (
    "give precision=fp32, a lower max_lr or a longer warm-up; class_weights where classes are uneven, another "
    "criterion where objects are small"
)
_PATIENCE = 2


def constant_shares(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics by which a network answers alike, of an epoch's metrics by name."""
    return {
        name: value for name, value in metrics.items() if name.endswith("constant_share") and value >= LARGEST_SHARE
    }


class ConstantPredictions:
    """Counts for how many validations in a row each metric has been constant."""

    def __init__(self) -> None:
        self._began: dict[str, int] = {}
        self._validations: dict[str, int] = {}

    @property
    def began(self) -> int | None:
        """The epoch since which predictions have been constant; None while they differ, or the first time."""
        lasting = [epoch for name, epoch in self._began.items() if self._validations[name] >= _PATIENCE]
        return min(lasting, default=None)

    def observe(self, metrics: Mapping[str, float], *, epoch: int) -> None:
        """Takes the metrics of a validated epoch, counted from 1."""
        shares = constant_shares(metrics)
        self._began = {name: self._began.get(name, epoch) for name in shares}
        self._validations = {name: self._validations.get(name, 0) + 1 for name in shares}
        for name, share in shares.items():
            if self._validations[name] == _PATIENCE:
                since = self._began[name]
                told = "epoch %d: %s is %.2f, predictions are constant since epoch %d; %s"
                logger.warning(told, epoch, name, share, since, ADVICE)

    def state_dict(self) -> dict[str, dict[str, int]]:
        return {"began": self._began, "validations": self._validations}

    def load_state_dict(self, state: Mapping[str, dict[str, int]]) -> None:
        self._began, self._validations = dict(state["began"]), dict(state["validations"])
