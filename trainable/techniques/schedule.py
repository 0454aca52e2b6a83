"""Warm-up, then cosine decay of the learning rate, as a function of progress in epochs.

What: the rate climbs linearly from `min_lr` to `max_lr` over the warm-up, then follows half a cosine back to
`min_lr` at `total_epochs`; past the end it stays there. Progress is a real number, so the trainer moves it with
every optimizer update and the first update already trains at more than `min_lr`.
Source: Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2017,
https://arxiv.org/abs/1608.03983 (the cosine); Goyal et al., Accurate, Large Minibatch SGD, 2017,
https://arxiv.org/abs/1706.02677 (the warm-up).
Cost: one cosine per update. Off: `warmup_epochs=0` drops the warm-up, `min_lr=max_lr` the whole schedule.
"""

import math
from dataclasses import dataclass

from torch.optim import Optimizer


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleConfig:
    """The schedule as fractions of the planned budget, so that it means the same at every budget."""

    warmup_fraction: float = 0.1
    """Share of the planned epochs spent warming up, 0 to 0.5."""
    min_lr_ratio: float = 0.01
    """Final learning rate as a share of the maximum, 0 to 1."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.warmup_fraction <= 0.5:
            raise ValueError(f"warmup_fraction is {self.warmup_fraction}; it must lie between 0 and 0.5.")
        if not 0.0 <= self.min_lr_ratio <= 1.0:
            raise ValueError(f"min_lr_ratio is {self.min_lr_ratio}; it must lie between 0 and 1.")


def warmup_cosine(epoch: float, *, warmup_epochs: float, total_epochs: float, min_lr: float, max_lr: float) -> float:
    """Learning rate after `epoch` epochs, a real number >= 0."""
    if epoch < warmup_epochs:
        return min_lr + (max_lr - min_lr) * epoch / warmup_epochs
    decay_epochs = total_epochs - warmup_epochs
    progress = min(1.0, (epoch - warmup_epochs) / decay_epochs) if decay_epochs > 0 else 1.0 * (epoch > warmup_epochs)
    return min_lr + (max_lr - min_lr) * 0.5 * (1.0 + math.cos(math.pi * progress))


class CosineAnnealingWithWarmup:
    """Sets the rate of every parameter group of an optimizer along `warmup_cosine`.

    Groups keep their proportions: the group with the highest initial rate peaks at `max_lr`, a group that started
    at a tenth of it peaks at a tenth. The state holds progress only, so a restored run follows the rates it is
    configured with now.

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
        max_lr: float = 1e-4,
        last_epoch: float = -1,
    ) -> None:
        if not 0 <= warmup_epochs <= total_epochs or total_epochs <= 0:
            raise ValueError(f"{warmup_epochs=} and {total_epochs=}; allowed: 0 <= warmup_epochs <= total_epochs.")
        if not 0 <= min_lr <= max_lr or max_lr <= 0:
            raise ValueError(f"{min_lr=} and {max_lr=}; allowed: 0 <= min_lr <= max_lr and max_lr > 0.")
        self.optimizer = optimizer
        self.warmup_epochs, self.total_epochs = warmup_epochs, total_epochs
        self.min_lr, self.max_lr = min_lr, max_lr
        self.group_scales = _group_scales(optimizer)
        self.last_epoch = last_epoch
        self.step()

    def step(self, epoch: float | None = None) -> None:
        """Moves to `epoch` epochs of progress, or one epoch on."""
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        for group, lr in zip(self.optimizer.param_groups, self.get_last_lr(), strict=True):
            group["lr"] = lr

    def lr_at(self, epoch: float) -> float:
        """Rate of the fastest group after `epoch` epochs."""
        return warmup_cosine(
            epoch,
            warmup_epochs=self.warmup_epochs,
            total_epochs=self.total_epochs,
            min_lr=self.min_lr,
            max_lr=self.max_lr,
        )

    def get_last_lr(self) -> list[float]:
        """Rates in effect, one per parameter group."""
        return [scale * self.lr_at(self.last_epoch) for scale in self.group_scales]

    def state_dict(self) -> dict[str, float]:
        return {"last_epoch": self.last_epoch}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.step(state["last_epoch"])

    def draw(self, *, columns: int = 60, rows: int = 10) -> str:
        """The schedule as a text picture, rate upwards and epochs to the right."""
        epochs = [self.total_epochs * column / (columns - 1) for column in range(columns)]
        heights = [round((rows - 1) * self.lr_at(epoch) / self.max_lr) for epoch in epochs]
        lines = ["".join("*" if height == row else " " for height in heights) for row in reversed(range(rows))]
        labels = [f"{self.max_lr:8.1e} |", *["         |"] * (rows - 2), f"{0:8.1e} |"]
        axis = f"{'':9}+{'-' * columns}\n{'':10}0{self.total_epochs:>{columns - 1}g} epochs"
        return "\n".join(label + line for label, line in zip(labels, lines, strict=True)) + "\n" + axis


def _group_scales(optimizer: Optimizer) -> list[float]:
    """Each group's initial rate relative to the highest one."""
    peaks = [group.setdefault("initial_lr", group["lr"]) for group in optimizer.param_groups]
    if max(peaks) <= 0:
        raise ValueError("Every parameter group has learning rate 0; give at least one group a positive rate.")
    return [peak / max(peaks) for peak in peaks]
