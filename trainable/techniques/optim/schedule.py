"""Learning rates as functions of the epoch; the default is a warm-up, then a cosine decay.

What: the rate climbs from its start to `max_lr` over the warm-up, then follows a shape to `total_epochs`; after the end
it stays there. The epoch is a real number, so the trainer moves it with every optimizer update, the first update
already trains at more than the start, and neither accumulation nor the number of batches matters. A shape is a function
of `fraction`, from 0, the end of the warm-up, to 1, the end of the budget; `floor` is the lowest rate as a share of the
highest. `PlateauSchedule` alone depends on more than the epoch: after the warm-up, more than `patience_epochs`
epochs in a row without a better objective multiply the rate by `factor`, never below the floor. Validations during
the warm-up count for the best value only: a rate that was never reached is not lowered.
Source: Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2017,
https://arxiv.org/abs/1608.03983 (cosine, restarts); Goyal et al., Accurate, Large Minibatch SGD, 2017,
https://arxiv.org/abs/1706.02677 (warm-up); Smith and Topin, Super-Convergence, 2018, https://arxiv.org/abs/1708.07120
(one cycle; here momentum is constant); Haegele et al., Scaling Laws and Compute-Optimal Training Beyond Fixed
Training Durations, 2024, https://arxiv.org/abs/2405.18392 (stable, then decay); Bengio, Practical Recommendations for
Gradient-Based Training of Deep Architectures, 2012, https://arxiv.org/abs/1206.5533 (plateau).
Cost: one cosine or power per update. Off: `warmup_epochs=0` drops the warm-up, `min_lr=max_lr` or
`schedule_kind=constant` the rest.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from torch.optim import Optimizer

from trainable.saved_state import SavedState

Shape = Callable[[float], float]
"""Maps a fraction from 0 to 1 to a share of the highest rate."""
ROUNDING = 1e-9


def cosine(fraction: float, *, floor: float) -> float:
    """Half a cosine from 1 to the floor."""
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, fraction)))


def warm_restarts(fraction: float, *, floor: float, first_cycle: float, growth: float) -> float:
    """Half cosines, one cycle after another.

    Args:
        first_cycle: length of the first one, as a fraction, > 0.
        growth: factor from the length of each cycle to the next, >= 1.
    """
    start, length = 0.0, first_cycle
    # No new cycle begins at the end of the budget: it would raise the rate for the last update.
    while start + length < min(fraction + ROUNDING, 1.0 - ROUNDING):
        start, length = start + length, length * growth
    return cosine(max(0.0, fraction - start) / length, floor=floor)


def rise(fraction: float, *, start: float, is_cosine: bool = False) -> float:
    """Rises from `start` to 1 during the warm-up: linearly, or along half a cosine as in one-cycle schedules."""
    risen = 0.5 * (1.0 - math.cos(math.pi * fraction)) if is_cosine else fraction
    return start + (1.0 - start) * risen


def warmup_cosine(epoch: float, *, warmup_epochs: float, total_epochs: float, min_lr: float, max_lr: float) -> float:
    """Learning rate after `epoch` epochs, a real number >= 0."""
    if epoch < warmup_epochs:
        return min_lr + (max_lr - min_lr) * epoch / warmup_epochs
    decay_epochs = total_epochs - warmup_epochs
    fraction = min(1.0, (epoch - warmup_epochs) / decay_epochs) if decay_epochs > 0 else 1.0 * (epoch > warmup_epochs)
    return min_lr + (max_lr - min_lr) * 0.5 * (1.0 + math.cos(math.pi * fraction))


class Schedule(SavedState, ABC):
    """Sets the rate of every parameter group of an optimizer.

    Groups keep their proportions: the group with the highest initial rate peaks at `max_lr`, a group that started
    at a tenth of it peaks at a tenth. The state holds no rates, so a restored run follows those that it is
    configured with now.
    """

    saved: ClassVar[tuple[str, ...]] = ("last_epoch",)

    def __init__(self, optimizer: Optimizer, *, total_epochs: float, max_lr: float) -> None:
        self.optimizer = optimizer
        self.total_epochs, self.max_lr = total_epochs, max_lr
        peaks = _peak_lrs(optimizer)
        self.group_scales = [peak / max(peaks) for peak in peaks]
        parts = [group.get("part") for group in optimizer.param_groups]
        self._slower_parts = {
            part: scale for part, scale in zip(parts, self.group_scales, strict=True) if part is not None and scale < 1
        }
        self.last_epoch = 0.0

    @abstractmethod
    def lr_at(self, epoch: float) -> float:
        """Rate of the fastest group after `epoch` epochs."""

    def observe(self, objective: float, *, epochs: int = 1) -> None:
        """Receives the monitored value after each validation; schedules that depend on the epoch alone ignore it.

        Args:
            epochs: since the last validation.
        """

    def forget_best(self) -> None:
        """Drops the best value, which was of another metric."""

    def step(self, epoch: float | None = None) -> None:
        """Sets the rates after `epoch` epochs, by default one epoch later."""
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        for group, lr in zip(self.optimizer.param_groups, self.get_last_lr(), strict=True):
            group["lr"] = lr

    def get_last_lr(self) -> list[float]:
        """Rates in effect, one per parameter group."""
        return [scale * self.lr_at(self.last_epoch) for scale in self.group_scales]

    def named_rates(self) -> dict[str, float]:
        """Rates in effect: `lr` of the fastest group, and `lr_PART` of each slower part that the optimizer names."""
        fastest = self.lr_at(self.last_epoch)
        return {"lr": fastest} | {f"lr_{part}": scale * fastest for part, scale in self._slower_parts.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.step(self.last_epoch)

    def draw(self, *, columns: int = 60, rows: int = 10) -> str:
        """The schedule as a text picture, rate upwards and epochs to the right."""
        epochs = [self.total_epochs * column / (columns - 1) for column in range(columns)]
        heights = [round((rows - 1) * self.lr_at(epoch) / self.max_lr) for epoch in epochs]
        lines = ["".join("*" if height == row else " " for height in heights) for row in reversed(range(rows))]
        labels = [f"{self.max_lr:8.1e} |", *["         |"] * (rows - 2), f"{0:8.1e} |"]
        axis = f"{'':9}+{'-' * columns}\n{'':10}0{self.total_epochs:>{columns - 1}g} epochs"
        return "\n".join(label + line for label, line in zip(labels, lines, strict=True)) + "\n" + axis


class CosineAnnealingWithWarmup(Schedule):
    """The rates of `warmup_cosine`; without `max_lr` the peak is the rate of the optimizer's fastest group.

    Raises:
        ValueError: a rate or a length is negative, `max_lr` lies below `min_lr`, the warm-up is longer than the
            training, or every group's rate is 0.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        warmup_epochs: float = 5,
        total_epochs: float = 100,
        min_lr: float = 1e-6,
        max_lr: float | None = None,
        last_epoch: float = -1,
    ) -> None:
        if max_lr is None:
            max_lr = max(_peak_lrs(optimizer))
        if not 0 <= warmup_epochs <= total_epochs or total_epochs <= 0:
            raise ValueError(f"{warmup_epochs=} and {total_epochs=}; allowed: 0 <= warmup_epochs <= total_epochs.")
        if not 0 <= min_lr <= max_lr or max_lr <= 0:
            raise ValueError(f"{min_lr=} and {max_lr=}; allowed: 0 <= min_lr <= max_lr and max_lr > 0.")
        super().__init__(optimizer, total_epochs=total_epochs, max_lr=max_lr)
        self.warmup_epochs, self.min_lr = warmup_epochs, min_lr
        self.last_epoch = last_epoch
        self.step()

    def lr_at(self, epoch: float) -> float:
        return warmup_cosine(
            epoch,
            warmup_epochs=self.warmup_epochs,
            total_epochs=self.total_epochs,
            min_lr=self.min_lr,
            max_lr=self.max_lr,
        )


def _peak_lrs(optimizer: Optimizer) -> list[float]:
    """Returns each group's initial rate, which an earlier schedule may have changed since."""
    peaks = [group.setdefault("initial_lr", group["lr"]) for group in optimizer.param_groups]
    if max(peaks) <= 0:
        raise ValueError("Every parameter group has learning rate 0; give at least one group a positive rate.")
    return peaks


class ShapedSchedule(Schedule):
    """`rise` over the first `warmup_epochs`, then `shape` up to `total_epochs`; both as shares of `max_lr`."""

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        warmup_epochs: float,
        total_epochs: float,
        max_lr: float,
        rise: Shape,
        shape: Shape,
    ) -> None:
        super().__init__(optimizer, total_epochs=total_epochs, max_lr=max_lr)
        self.warmup_epochs = warmup_epochs
        self._rise, self._shape = rise, shape
        self.step(0)

    def lr_at(self, epoch: float) -> float:
        if epoch < self.warmup_epochs:
            return self.max_lr * self._rise(epoch / self.warmup_epochs)
        return self.max_lr * self._shape((epoch - self.warmup_epochs) / (self.total_epochs - self.warmup_epochs))


class PlateauSchedule(Schedule):
    """`floor` is the lowest rate as a share of `max_lr`; `mode` is "max" or "min"."""

    saved = ("last_epoch", "reductions", "epochs_without_improvement", "_best")

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
        """Rate after `epoch` epochs if nothing more is observed until then."""
        if epoch < self.warmup_epochs:
            return self.max_lr * rise(epoch / self.warmup_epochs, start=self.floor)
        return self.max_lr * max(self.floor, self.factor**self.reductions)

    def forget_best(self) -> None:
        self._best, self.epochs_without_improvement = -math.inf, 0

    def observe(self, objective: float, *, epochs: int = 1) -> None:
        assert math.isfinite(objective), objective
        if self._sign * objective > self._best:
            self._best, self.epochs_without_improvement = self._sign * objective, 0
        elif self.last_epoch >= self.warmup_epochs:
            self.epochs_without_improvement += epochs
        if self.epochs_without_improvement > self.patience_epochs:
            self.reductions += 1
            self.epochs_without_improvement = 0
