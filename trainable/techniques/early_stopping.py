"""Early stopping: a training whose objective no longer improves ends before its budget.

What: the training ends after `patience_epochs` epochs without an improvement by more than `min_delta`. Only validated
epochs are compared.
Source: Prechelt, Early Stopping - But When?, 1998, https://doi.org/10.1007/3-540-49430-8_3.
Cost: none. Off: `early_stopping=None`. A search stops poor trials by comparing them; this one looks at a trial alone.
`TrainingRun` calls it; a loop of your own calls `observe` after each validation and ends at `has_stopped`.
"""

import math
from dataclasses import dataclass

from trainable.saved_state import SavedState


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStoppingConfig:
    """Patience of early stopping, and what counts as an improvement."""

    patience_epochs: int = 10
    """Epochs in a row without an improvement after which the training ends, 1 or more."""
    min_delta: float = 0.0
    """An improvement is larger than this, >= 0, in units of the objective."""

    def __post_init__(self) -> None:
        if self.patience_epochs < 1:
            raise ValueError(f"patience_epochs is {self.patience_epochs}; it must be 1 or more, off is none.")
        if not 0 <= self.min_delta < math.inf:
            raise ValueError(f"min_delta is {self.min_delta}; it must be 0 or more, also where lower is better.")


class EarlyStopping(SavedState):
    """Watches one objective; `mode` is "max" or "min"."""

    saved = ("_best", "epochs_without_improvement")

    def __init__(self, config: EarlyStoppingConfig, mode: str) -> None:
        assert mode in ("max", "min"), mode
        self.config = config
        self._sign = 1.0 if mode == "max" else -1.0
        self._best = -math.inf
        self.epochs_without_improvement = 0

    @property
    def has_stopped(self) -> bool:
        return self.epochs_without_improvement >= self.config.patience_epochs

    def numbers(self, epoch: int) -> dict[str, float]:
        """The numbers behind an end after this epoch."""
        best_epoch = epoch - self.epochs_without_improvement
        best = self._sign * self._best
        return {"patience_epochs": self.config.patience_epochs, "best": best, "best_epoch": best_epoch}

    def observe(self, objective: float, *, epochs: int = 1) -> None:
        """Takes the finite objective, `epochs` after the last one."""
        assert math.isfinite(objective), objective
        if self._sign * objective > self._best + self.config.min_delta:
            self._best, self.epochs_without_improvement = self._sign * objective, 0
        else:
            self.epochs_without_improvement += epochs
