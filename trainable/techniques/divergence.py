"""Divergence: a non-finite loss or gradient ends the training before it reaches the weights.

What: the terms of a window's loss are read once per update, together with the gradient's norm; the first that is not
finite is named. With fp16 an infinite gradient is ordinary (the loss scale was too high): such updates are skipped,
and only many in a row count as divergence.
Cost: one read from the device per update. Off: never; nothing good follows a NaN.
"""

import math
from collections.abc import Mapping
from functools import partial

MAX_SKIPPED_UPDATES = 20
"""Consecutive fp16 updates that may be skipped while the loss scale settles; it halves at each."""


class DivergedError(ArithmeticError):
    """A loss term or the gradient is not finite; carries epoch, step and term."""

    def __init__(self, *, term: str, value: float, epoch: int, step: int) -> None:
        super().__init__(f"{term} became {value} in epoch {epoch}, optimizer step {step}")
        self.term, self.value, self.epoch, self.step = term, value, epoch, step

    def __reduce__(self) -> tuple:
        """Another process may be told."""
        return partial(type(self), term=self.term, value=self.value, epoch=self.epoch, step=self.step), ()


def check_finite(terms: Mapping[str, float], *, epoch: int, step: int) -> None:
    """Raises DivergedError naming the first term that is not finite."""
    for term, value in terms.items():
        if not math.isfinite(value):
            raise DivergedError(term=term, value=value, epoch=epoch, step=step)
