"""The best epoch: the weights of the epoch with the best validation are kept and handed over.

What: after each validation the monitored metric is compared with the best so far; on an improvement the evaluated
weights are copied to the CPU. Ties go to the earlier epoch. A search still compares trials at the same epoch; this
decides only which weights are tested and exported.
Source: the model selection of Prechelt, Early Stopping - But When?, 1998, https://doi.org/10.1007/3-540-49430-8_3.
Cost: one copy of the weights at each improvement, kept in memory and in the checkpoint. Off: `best_epoch=None`, the
weights of the last epoch are handed over. `TrainingRun` calls it; a script with a `Trainer` keeps its own checkpoints.
"""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from trainable.configuration.fields import unknown_name
from trainable.saved_state import SavedState

_LOWER_IS_BETTER = ("loss", "mae", "ece", "nll", "error", "distance", "num_empty_masks", "constant_share")
"""Endings of metric names for which lower is better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BestEpochConfig:
    """The metric that decides which epoch is best."""

    monitor: str | None = None
    """A metric of the validation, such as val/accuracy or val/loss; None is the workload's objective."""
    monitor_mode: Literal["max", "min"] | None = None
    """Whether higher or lower is better; None is right for every metric of the built-in workloads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """The metric that early stopping, a plateau's schedule and the best epoch look at."""

    name: str
    mode: str
    """max or min."""

    def value_in(self, metrics: Mapping[str, float]) -> float:
        """The value of this metric in an epoch.

        Raises:
            ValueError: the metric is missing, for example because the data has no annotations of a grade or a map.
        """
        if self.name not in metrics:
            measured = ", ".join(name for name in metrics if name.startswith("val/"))
            raise ValueError(
                f"monitor is {self.name}, which can't be measured on this validation split; it has {measured}."
            )
        return metrics[self.name]


def resolve_monitor(
    config: BestEpochConfig | None, *, objective: str, mode: str, metric_names: Collection[str] | None = None
) -> Monitor:
    """The monitored metric of a workload; its name is checked where `metric_names` are given.

    Raises:
        ValueError: `monitor` is not a metric of the workload; the nearest is named.
    """
    name = objective if config is None or config.monitor is None else config.monitor
    known = {*(metric_names or [name]), "val/loss"}
    if name not in known:
        raise ValueError(unknown_name("metric to monitor", name, known))
    if config is not None and config.monitor_mode is not None:
        return Monitor(name=name, mode=config.monitor_mode)
    if name == objective:
        return Monitor(name=name, mode=mode)
    return Monitor(name=name, mode="min" if name.endswith(_LOWER_IS_BETTER) else "max")


class BestEpoch(SavedState):
    """Keeps the weights of the best epoch so far; `mode` is "max" or "min"."""

    saved = ("_best", "epoch", "weights")

    def __init__(self, mode: str) -> None:
        self._sign = 1.0 if mode == "max" else -1.0
        self.epoch = 0
        """The best epoch, 1 is the first; 0 before any."""
        self._best = -math.inf
        self.weights: dict[str, Any] | None = None
        """A state dict on the CPU; None before any."""

    @property
    def value(self) -> float:
        """The monitored metric of that epoch."""
        return self._sign * self._best

    def observe(self, value: float, *, epoch: int, weights: Callable[[], dict[str, Any]]) -> None:
        """Takes the finite metric of an epoch; calls `weights` only for an improvement."""
        assert math.isfinite(value), value
        if self._sign * value > self._best:
            self._best, self.epoch, self.weights = self._sign * value, epoch, weights()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        # Here alone: who only reads settings does without torch.
        from trainable.techniques.parallel.tensor_tree import copied

        self.weights = copied(state["weights"], "cpu") or None
