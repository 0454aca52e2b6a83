"""Lowers the learning rate whenever the objective stands still: the one schedule that progress alone does not decide.

What: after a linear warm-up the rate stays at its maximum; more than `patience_epochs` validations in a row without a
better objective multiply it by `factor`, never below the floor. Validations during the warm-up count for the best
value only: a rate that was never reached is not lowered.
Source: Bengio, Practical Recommendations for Gradient-Based Training of Deep Architectures, 2012,
https://arxiv.org/abs/1206.5533.
Cost: none. Off: any other `schedule_kind`.
"""

import math
from typing import Any

from torch.optim import Optimizer

from trainable.techniques.schedule import Schedule
from trainable.techniques.schedule_shapes import linear_rise


class PlateauSchedule(Schedule):
    """`floor` is the lowest rate as a share of `max_lr`; `mode` is "max" or "min"."""

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        warmup_epochs: float,
        total_epochs: float,
        max_lr: float,
        floor: float,
        factor: float,
        patience_epochs: float,
        mode: str,
    ) -> None:
        assert mode in ("max", "min"), mode
        super().__init__(optimizer, total_epochs=total_epochs, max_lr=max_lr)
        self.warmup_epochs, self.floor = warmup_epochs, floor
        self.factor, self.patience_epochs = factor, patience_epochs
        self.reductions = 0
        self.epochs_without_improvement = 0
        self._sign = 1.0 if mode == "max" else -1.0
        self._best = -math.inf
        self.step(0)

    def lr_at(self, epoch: float) -> float:
        """Rate at that progress if nothing more is observed until then."""
        if epoch < self.warmup_epochs:
            return self.max_lr * linear_rise(epoch / self.warmup_epochs, start=self.floor)
        return self.max_lr * max(self.floor, self.factor**self.reductions)

    def observe(self, objective: float) -> None:
        assert math.isfinite(objective), objective
        if self._sign * objective > self._best:
            self._best, self.epochs_without_improvement = self._sign * objective, 0
        elif self.last_epoch >= self.warmup_epochs:
            self.epochs_without_improvement += 1
        if self.epochs_without_improvement > self.patience_epochs:
            self.reductions += 1
            self.epochs_without_improvement = 0

    def state_dict(self) -> dict[str, Any]:
        return {
            "last_epoch": self.last_epoch,
            "reductions": self.reductions,
            "epochs_without_improvement": self.epochs_without_improvement,
            "best": self._best,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.reductions, self._best = state["reductions"], state["best"]
        self.epochs_without_improvement = state["epochs_without_improvement"]
        self.step(state["last_epoch"])
