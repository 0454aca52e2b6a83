"""Learning rates as functions of progress in epochs; the default is a warm-up, then a cosine decay.

What: the rate climbs linearly from `min_lr` to `max_lr` over the warm-up, then follows half a cosine back to
`min_lr` at `total_epochs`; past the end it stays there. Progress is a real number, so the trainer moves it with
every optimizer update and the first update already trains at more than `min_lr`. Other shapes: schedule_shapes.py.
Source: Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2017,
https://arxiv.org/abs/1608.03983 (the cosine); Goyal et al., Accurate, Large Minibatch SGD, 2017,
https://arxiv.org/abs/1706.02677 (the warm-up).
Cost: one cosine per update. Off: `warmup_epochs=0` drops the warm-up, `min_lr=max_lr` the whole schedule.
"""

import math
from abc import ABC, abstractmethod
from typing import Any

from torch.optim import Optimizer


def warmup_cosine(epoch: float, *, warmup_epochs: float, total_epochs: float, min_lr: float, max_lr: float) -> float:
    """Learning rate after `epoch` epochs, a real number >= 0."""
    if epoch < warmup_epochs:
        return min_lr + (max_lr - min_lr) * epoch / warmup_epochs
    decay_epochs = total_epochs - warmup_epochs
    progress = min(1.0, (epoch - warmup_epochs) / decay_epochs) if decay_epochs > 0 else 1.0 * (epoch > warmup_epochs)
    return min_lr + (max_lr - min_lr) * 0.5 * (1.0 + math.cos(math.pi * progress))


class Schedule(ABC):
    """Sets the rate of every parameter group of an optimizer.

    Groups keep their proportions: the group with the highest initial rate peaks at `max_lr`, a group that started
    at a tenth of it peaks at a tenth. The state holds progress only, so a restored run follows the rates it is
    configured with now.
    """

    def __init__(self, optimizer: Optimizer, *, total_epochs: float, max_lr: float) -> None:
        self.optimizer = optimizer
        self.total_epochs, self.max_lr = total_epochs, max_lr
        self.group_scales = _group_scales(optimizer)
        self.last_epoch = 0.0

    @abstractmethod
    def lr_at(self, epoch: float) -> float:
        """Rate of the fastest group after `epoch` epochs."""

    def observe(self, objective: float) -> None:  # noqa: B027 - doing nothing is right for all kinds but one
        """Told the objective once after each validation; a schedule of progress alone has no use for it."""

    def step(self, epoch: float | None = None) -> None:
        """Moves to `epoch` epochs of progress, or one epoch on."""
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        for group, lr in zip(self.optimizer.param_groups, self.get_last_lr(), strict=True):
            group["lr"] = lr

    def get_last_lr(self) -> list[float]:
        """Rates in effect, one per parameter group."""
        return [scale * self.lr_at(self.last_epoch) for scale in self.group_scales]

    def state_dict(self) -> dict[str, Any]:
        return {"last_epoch": self.last_epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step(state["last_epoch"])

    def draw(self, *, columns: int = 60, rows: int = 10) -> str:
        """The schedule as a text picture, rate upwards and epochs to the right."""
        epochs = [self.total_epochs * column / (columns - 1) for column in range(columns)]
        heights = [round((rows - 1) * self.lr_at(epoch) / self.max_lr) for epoch in epochs]
        lines = ["".join("*" if height == row else " " for height in heights) for row in reversed(range(rows))]
        labels = [f"{self.max_lr:8.1e} |", *["         |"] * (rows - 2), f"{0:8.1e} |"]
        axis = f"{'':9}+{'-' * columns}\n{'':10}0{self.total_epochs:>{columns - 1}g} epochs"
        return "\n".join(label + line for label, line in zip(labels, lines, strict=True)) + "\n" + axis


class CosineAnnealingWithWarmup(Schedule):
    """The rates of `warmup_cosine`.

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


def _group_scales(optimizer: Optimizer) -> list[float]:
    """Each group's initial rate relative to the highest one."""
    peaks = [group.setdefault("initial_lr", group["lr"]) for group in optimizer.param_groups]
    if max(peaks) <= 0:
        raise ValueError("Every parameter group has learning rate 0; give at least one group a positive rate.")
    return [peak / max(peaks) for peak in peaks]
