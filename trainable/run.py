"""The interface of a run: one training that has completed some epochs, whoever wrote its loop."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from trainable.configuration.run_config import RunConfig
    from trainable.techniques.best_epoch import Monitor


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Why there is no next epoch."""

    outcome: str
    """completed, plateaued or experts_collapsed; in a leg's report also diverged or out_of_memory."""
    numbers: Mapping[str, float | str] = field(default_factory=dict)
    """The numbers behind it, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedEpoch:
    """Result of one training epoch; every value is a finite float."""

    epoch: int
    """Epochs completed, 1 after the first."""
    metrics: dict[str, float]
    """Flat names: train/..., val/..., moe/..., aug_strength."""
    seconds: float
    precision: str | None
    """The number format in effect, whatever was asked for: fp32, fp16 or bf16; None where a loop does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochResult(TrainedEpoch):
    """Result of one epoch of training and validation."""

    objective: float
    validation_seconds: float | None = None
    """The part of `seconds` that the validation took; None where a loop does not say."""


class HandedOver(NamedTuple):
    """The weights that are tested and exported, and their epoch."""

    epoch: int
    weights: dict[str, Any]
    """A state dict on the CPU; averaged where averaging is on."""
    value: float | None
    """The monitored metric of the best epoch; None where no best epoch is kept and these are the last weights."""


class EpochRun(Protocol):
    """A training that runs epoch after epoch and can continue from a checkpoint."""

    epoch: int
    """Epochs completed."""

    @property
    def ending(self) -> Ending | None:
        """Why there is no next epoch; None when there is one."""

    def run_epoch(self) -> EpochResult:
        """Trains and validates one epoch.

        Raises:
            DivergedError: a loss, a gradient or a metric is not finite.
            MemoryShortage: it does not fit.
        """

    def save(self, path: Path) -> None:
        """Writes the state after the last completed epoch."""

    def restore(self, path: Path) -> None:
        """Restores the state that `save` wrote; raises CheckpointError if the file is not such a checkpoint."""


class Run(EpochRun, Protocol):
    """A run that can also be tested and exported."""

    objective: str
    """The metric that is compared, such as `val/accuracy`."""
    monitor: "Monitor"
    """The metric that decides about its end and its best epoch."""

    @property
    def config(self) -> "RunConfig":
        """The complete configuration."""

    @property
    def summary(self) -> str:
        """One line for people: what trains, on which device."""

    @property
    def constant_since(self) -> int | None:
        """The epoch since which all predictions are alike; None while they differ, or nobody looks."""

    @property
    def handed_over(self) -> HandedOver:
        """The weights that are tested and exported, and their epoch."""

    @property
    def is_at_best_epoch(self) -> bool:
        """Whether the current epoch is the best so far; False if no best epoch is kept."""

    def test(self, data: Any = None) -> dict[str, float]:
        """Metrics on the test split, without a prefix, or on `data` in its place."""


def run_epochs(run: Run, on_epoch: Callable[[EpochResult], None]) -> list[EpochResult]:
    """Trains the rest of the budget."""
    results = []
    while run.ending is None:
        results.append(run.run_epoch())
        on_epoch(results[-1])
    return results
