"""Constant predictions: a warning when a network begins to predict the same for every image.

What: metrics that end in `constant_share` are the share of validation images with a constant prediction: masks that are
all 0 or all 1, or the class that is predicted most. Two validations in a row with `LARGEST_SHARE` or more log a
warning, since a network from scratch may well begin with one; a later beginning logs another. Usual causes are 16-bit
overflow, too high a rate and uneven classes; the loss may fall nevertheless.
Source: own.
Cost: none, metrics have the counts already. Off: not needed; it changes no training.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from trainable.saved_state import SavedState

logger = logging.getLogger(__name__)

LARGEST_SHARE = 0.99
ADVICE = (
    "give precision=fp32, a lower max_lr or a longer warm-up; class_weights where classes are uneven, another "
    "criterion where objects are small"
)
_PATIENCE = 2


def constant_shares(metrics: Mapping[str, float]) -> dict[str, float]:
    """Returns the metrics of an epoch that show constant predictions."""
    return {
        name: value for name, value in metrics.items() if name.endswith("constant_share") and value >= LARGEST_SHARE
    }


@dataclass(eq=False)
class ConstantPredictions(SavedState):
    """Counts for how many validations in a row each metric has been constant."""

    saved = ("_began", "_validations")

    _began: dict[str, int] = field(default_factory=dict, init=False)
    _validations: dict[str, int] = field(default_factory=dict, init=False)

    @property
    def began(self) -> int | None:
        """Epoch since which predictions have been constant; None while they differ, or after a single time."""
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
                message = "epoch %d: %s is %.2f, predictions are constant since epoch %d; %s"
                logger.warning(message, epoch, name, share, since, ADVICE)
