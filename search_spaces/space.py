"""The definition of a search space: the parameters that may vary, and the budget of a trial.

A space only needs the three methods of `Trial`, which an Optuna trial has.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, Self, get_args

Mode = Literal["max", "min"]
MODES = get_args(Mode)

Params = dict[str, Any]
"""One configuration or a part of it: values by the names of the training configuration."""


class Trial(Protocol):
    """The methods of an `optuna.Trial` that a space uses."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Facts that the ranges and recommended values of a space depend on."""

    num_train_images: int
    """Images in the training split."""
    pretrained: bool
    """The network starts from trained weights, which need a lower learning rate than new layers."""
    max_batch_size: int = 8
    """Images of a micro-batch that fit in memory; larger batches are accumulated."""
    gpu_memory_gb: float | None = None
    """A trial's share of its GPU, in 10^9 bytes; None on a CPU, or when the user fixed the micro-batch."""
    num_tasks: int = 2
    """Tasks that the network of a workload of several learns, 1 where the data has labels of one alone."""
    own_weights: bool | None = None
    """The trained weights are given by `--init`: those of a pre-training or an export; None: no."""
    own_network: bool | None = None
    """The network is the user's own: which part is its backbone, and which layer its head, is not known; None: no."""

    @property
    def has_trained_backbone(self) -> bool:
        """There is a backbone that may learn more slowly than new layers, and thaw later."""
        return self.pretrained and not self.own_network

    def __post_init__(self) -> None:
        for name in ("num_train_images", "max_batch_size", "num_tasks"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, but must be at least 1")
        if self.gpu_memory_gb is not None and not self.gpu_memory_gb > 0:
            raise ValueError(f"gpu_memory_gb is {self.gpu_memory_gb}, but must be above 0, or None without a GPU")


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """One search space. Its functions live at the top of a module, so that they can be pickled."""

    name: str
    """Its name for `--space`."""
    job: str = ""
    """The job in a few words, for `--list`."""
    workload: str
    """The task that trains its configurations."""
    objective: str
    """The metric that is compared, such as `val/s_measure`."""
    mode: Mode = "max"
    """`max` or `min`: whether a higher or a lower objective is better."""
    suggest: Callable[[Trial, Situation], Params]
    """Asks the trial and returns all parameters of one configuration, fixed ones included."""
    defaults: Callable[[Situation], Params]
    """A fair configuration to beat, by the names that `suggest` asks for."""
    recommended: Callable[[Situation], list[Params]]
    """Configurations to try right after the defaults; omitted values are the default's."""
    max_epochs: int = 12
    """Default length of a full training."""
    grace_epochs: int = 3
    """Epochs that every trial gets: the first rung. Ray calls it `grace_period`."""
    reduction_factor: int = 2
    """One in this many trials continues from each rung; the rungs are this factor apart."""
    num_trials: int = 30
    """Default number of configurations."""
    confirm: int = 3
    """Default number of best trials to retrain with the default on several seeds."""
    beside_own_network: Params = field(default_factory=dict)
    """Fixed values of parameters that describe this project's network, where the user's own takes its place."""
    max_warmup_fraction: float = 0.0
    """The longest warm-up that `suggest` may draw, as a share of `max_epochs`."""

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and self.name.isidentifier()):
            raise ValueError(f"name is {self.name!r:.80}, but must be a word of letters, digits and underscores")
        if self.mode not in MODES:
            raise ValueError(f"mode of {self.name} is {self.mode!r}, but must be one of {', '.join(MODES)}")
        for count in ("max_epochs", "grace_epochs", "reduction_factor", "num_trials", "confirm"):
            value = getattr(self, count)
            if isinstance(value, bool) or not isinstance(value, int):
                raise ValueError(f"{count} of {self.name} is {value!r:.80}, but must be a whole number (int)")
        if not 1 <= self.grace_epochs <= self.max_epochs:
            given, limit = self.grace_epochs, self.max_epochs
            raise ValueError(f"grace_epochs of {self.name} is {given}, but must be from 1 to max_epochs ({limit})")
        if self.num_trials < 1:
            raise ValueError(f"num_trials of {self.name} is {self.num_trials}, but must be at least 1")
        if self.reduction_factor < 2:
            raise ValueError(f"reduction_factor of {self.name} is {self.reduction_factor}, but must be at least 2")
        self._check_warmup()

    def with_max_epochs(self, max_epochs: int) -> Self:
        """The same space with another budget; the first rung keeps its share of it, rounded up."""
        if max_epochs < 1:
            raise ValueError(f"max_epochs is {max_epochs}, but must be at least 1")
        grace_epochs = math.ceil(self.grace_epochs * max_epochs / self.max_epochs)
        return replace(self, max_epochs=max_epochs, grace_epochs=grace_epochs)

    def _check_warmup(self) -> None:
        """A rung during the warm-up would compare trials before they reach their learning rate."""
        epoch, fraction, max_epochs = self.grace_epochs, self.max_warmup_fraction, self.max_epochs
        if not warmup_ends_by(epoch, warmup_fraction=fraction, max_epochs=max_epochs):
            raise ValueError(
                f"a warm-up of {self.name} can take {fraction * max_epochs:g} epochs and reach past the first rung, "
                f"epoch {epoch}: raise grace_epochs to it, or lower max_warmup_fraction to "
                f"{longest_warmup_fraction(epoch, max_epochs=max_epochs):g}"
            )


def warmup_ends_by(epoch: int, *, warmup_fraction: float, max_epochs: int) -> bool:
    """Whether the warm-up is over at the end of this epoch."""
    # 0.07 of 100 epochs are 7.000000000000001.
    return warmup_fraction * max_epochs <= epoch + 1e-9


def longest_warmup_fraction(epoch: int, *, max_epochs: int) -> float:
    """The longest warm-up, as a share of `max_epochs`, that is over by this epoch; rounded down to three digits."""
    return 1000 * epoch // max_epochs / 1000
