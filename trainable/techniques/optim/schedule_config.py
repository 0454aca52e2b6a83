"""Which learning rate schedule a training follows, as fractions of the planned budget."""

from dataclasses import dataclass
from functools import partial

from torch.optim import Optimizer

from trainable.configuration.fields import unknown_name
from trainable.configuration.share_of_epochs import share_of_epochs
from trainable.techniques.optim.schedule import (
    ROUNDING,
    CosineAnnealingWithWarmup,
    PlateauSchedule,
    Schedule,
    ShapedSchedule,
    cosine,
    rise,
    warm_restarts,
)

KINDS = ("cosine", "one_cycle", "plateau", "warm_restarts", "exponential", "warmup_stable_decay", "step", "constant")
_FRACTIONS = (
    "start_lr_ratio",
    "decay_fraction",
    "first_cycle_fraction",
    "plateau_factor",
    "plateau_patience_fraction",
    "step_fraction",
    "step_factor",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleConfig:
    """The schedule as fractions of the planned budget, so that it means the same at every budget."""

    schedule_kind: str = "cosine"
    """cosine, one_cycle, plateau, warm_restarts, exponential, warmup_stable_decay, step or constant."""
    warmup_fraction: float = 0.1
    """Share of the planned epochs spent warming up, 0 to 0.5; the documented one_cycle climbs for 0.3."""
    min_lr_ratio: float = 0.01
    """Final learning rate as a share of the maximum, 0 to 1: the lowest of plateau and step, the start of constant."""
    start_lr_ratio: float = 0.04
    """Start of one_cycle as a share of the maximum, above 0 to 1; the other kinds start at the final rate."""
    decay_fraction: float = 0.2
    """Share of the planned epochs that warmup_stable_decay spends going down at the end, above 0 to 1."""
    first_cycle_fraction: float = 0.1
    """Length of the first cycle of warm_restarts as a share of the planned epochs, above 0 to 1."""
    cycle_growth: float = 2.0
    """Factor from the length of each cycle of warm_restarts to the next, 1 or more."""
    plateau_factor: float = 0.5
    """Factor on the rate at a plateau, above 0 and below 1."""
    plateau_patience_fraction: float = 0.1
    """More epochs than this share of the planned ones without an improvement are a plateau, above 0 to 1."""

    step_fraction: float = 0.5
    """Share of the planned epochs between two steps down, after the warm-up, above 0 to 1."""
    step_factor: float = 0.1
    """Factor on the rate at each step, above 0 and below 1."""

    def __post_init__(self) -> None:
        if self.schedule_kind not in KINDS:
            raise ValueError(unknown_name("schedule_kind", self.schedule_kind, KINDS))
        if not 0.0 <= self.warmup_fraction <= 0.5:
            raise ValueError(f"warmup_fraction is {self.warmup_fraction}; it must lie between 0 and 0.5.")
        if not 0.0 <= self.min_lr_ratio <= 1.0:
            raise ValueError(f"min_lr_ratio is {self.min_lr_ratio}; it must lie between 0 and 1.")
        for name in _FRACTIONS:
            if not 0.0 < getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must lie above 0, at most 1.")
        self._check_kind()

    def build(self, optimizer: Optimizer, *, total_epochs: float, max_lr: float, mode: str) -> Schedule:
        """The schedule of a training of `total_epochs`; `mode` says which end of its objective is better."""
        warmup_epochs = self.warmup_fraction * total_epochs
        if self.schedule_kind == "cosine":
            min_lr = self.min_lr_ratio * max_lr
            return CosineAnnealingWithWarmup(optimizer, warmup_epochs, total_epochs, min_lr, max_lr)
        if self.schedule_kind == "plateau":
            return PlateauSchedule(
                optimizer,
                warmup_epochs=warmup_epochs,
                total_epochs=total_epochs,
                max_lr=max_lr,
                floor=self.min_lr_ratio,
                factor=self.plateau_factor,
                patience_epochs=share_of_epochs(self.plateau_patience_fraction, total_epochs),
                mode=mode,
            )
        is_one_cycle = self.schedule_kind == "one_cycle"
        start = self.start_lr_ratio if is_one_cycle else self.min_lr_ratio
        warmup = partial(rise, start=start, is_cosine=is_one_cycle)
        lengths = {"warmup_epochs": warmup_epochs, "total_epochs": total_epochs}
        return ShapedSchedule(optimizer, **lengths, max_lr=max_lr, rise=warmup, shape=self._shape)

    def _shape(self, fraction: float) -> float:
        """Share of the highest rate, at a fraction of the budget after the warm-up."""
        floor, left = self.min_lr_ratio, 1.0 - self.warmup_fraction
        match self.schedule_kind:
            case "one_cycle":
                return cosine(fraction, floor=floor)
            case "warm_restarts":
                first_cycle = self.first_cycle_fraction / left
                return warm_restarts(fraction, floor=floor, first_cycle=first_cycle, growth=self.cycle_growth)
            case "exponential":
                # The same factor in every stretch of equal length; reaches the floor at the end.
                return floor ** min(1.0, fraction)
            case "warmup_stable_decay":
                # The highest rate, then a straight line to the floor over the last part of the budget.
                remaining, decay = max(0.0, 1.0 - fraction), self.decay_fraction / left
                return 1.0 if remaining >= decay else floor + (1.0 - floor) * remaining / decay
            case "step":
                num_steps = int(min(1.0, fraction) / (self.step_fraction / left) + ROUNDING)
                return max(floor, self.step_factor**num_steps)
        assert self.schedule_kind == "constant", self.schedule_kind
        return 1.0

    def _check_kind(self) -> None:
        if self.cycle_growth < 1.0:
            raise ValueError(f"cycle_growth is {self.cycle_growth}; it must be 1 or more.")
        for name in ("plateau_factor", "step_factor"):
            if getattr(self, name) == 1.0:
                raise ValueError(f"{name} is 1, which lowers nothing; give less, or schedule_kind=constant.")
        if self.schedule_kind == "exponential" and self.min_lr_ratio == 0.0:
            raise ValueError("min_lr_ratio is 0, which no exponential decay reaches; give a share above 0.")
        if self.schedule_kind == "warmup_stable_decay" and self.warmup_fraction + self.decay_fraction > 1.0:
            raise ValueError(
                f"warmup_fraction {self.warmup_fraction} and decay_fraction {self.decay_fraction} are more than the "
                "whole budget; lower one of them."
            )
