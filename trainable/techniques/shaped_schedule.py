"""A schedule that follows two pure functions: one over the warm-up, one over the rest of the budget."""

from collections.abc import Callable

from torch.optim import Optimizer

from trainable.techniques.schedule import Schedule

Shape = Callable[[float], float]
"""Progress from 0 to 1 in, a share of the highest rate out."""


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
