"""The part of a configuration that every run has, whoever wrote its loop."""

from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

MAX_SEED = 2**32 - 1
MOST_EPOCHS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Fields that every run has, with this package's loop or the user's."""

    free_params: ClassVar[str | None] = None
    """The field that takes every parameter that is not a field of its own; None refuses such parameters."""

    workload: str
    """Name of a task, such as "moe", or reference of a loop."""
    max_epochs: int
    """The planned budget in epochs: schedule, warm-up and augmentation are fractions of it."""
    data: Any
    """The data, with its `source`; the workload's own type."""
    seed: int = 0
    """Seed of weights, data order, augmentation and router noise; 0 to MAX_SEED."""

    def __post_init__(self) -> None:
        if not 1 <= self.max_epochs <= MOST_EPOCHS:
            raise ValueError(f"max_epochs is {self.max_epochs}; it must be from 1 to {MOST_EPOCHS}.")
        if not 0 <= self.seed <= MAX_SEED:
            raise ValueError(f"seed is {self.seed}; it must be from 0 to {MAX_SEED}.")

    @property
    def warmup_fraction(self) -> float:
        """Share of `max_epochs` in which the learning rate still rises; 0 where the configuration does not say."""
        return 0.0


Config = TypeVar("Config", bound=RunConfig)
