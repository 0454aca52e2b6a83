"""Averaged weights: an exponential moving average of the model that is evaluated and exported instead of it.

What: after every real optimizer update the average moves towards the weights, `a <- d a + (1 - d) w`. The decay
warms up as `min(d, (1 + t) / (10 + t))`, so that early averages are not the initial weights. Float buffers
(normalisation statistics) are averaged too, integer buffers and what is no tensor, a module's extra state, are copied.
Source: Polyak and Juditsky, Acceleration of Stochastic Approximation by Averaging, 1992,
https://doi.org/10.1137/0330046; the warm-up of the decay follows Cai et al., Exponential Moving Average of Weights
in Deep Learning, 2024, https://arxiv.org/abs/2411.18704, and TensorFlow's ExponentialMovingAverage.
Cost: one copy of the weights and one fused pass over them per update. Off: `averaging=None`.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from trainable.saved_state import SavedState
from trainable.techniques.optim import older_torch
from trainable.techniques.parallel.tensor_tree import copied


@dataclass(frozen=True, slots=True, kw_only=True)
class AveragingConfig:
    """Half-life or decay of the weight average."""

    half_life_epochs: float = 0.5
    """Epochs after which a weight's influence has halved, > 0; as the decay warms up, it acts after 13 such times."""
    ema_decay: float | None = None
    """Decay per update, in (0, 1), in place of the half-life; None: the half-life decides."""

    def __post_init__(self) -> None:
        if not self.half_life_epochs > 0:
            raise ValueError(
                f"half_life_epochs is {self.half_life_epochs}; it must be positive. Off is averaging=None."
            )
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ValueError(f"ema_decay is {self.ema_decay}; it must lie strictly between 0 and 1, or be null.")

    def decay(self, updates_per_epoch: int) -> float:
        """Decay per update, in (0, 1)."""
        if self.ema_decay is not None:
            return self.ema_decay
        return 0.5 ** (1.0 / (self.half_life_epochs * updates_per_epoch))


class WeightAverage(SavedState):
    """The average of one model's weights. Raises ValueError when `decay` is not in (0, 1)."""

    saved = ("num_updates", "_average")

    def __init__(self, model: nn.Module, decay: float) -> None:
        if not 0.0 < decay < 1.0:
            raise ValueError(f"decay is {decay}; it must lie strictly between 0 and 1.")
        self.decay = decay
        self.num_updates = 0
        self._model = model
        self._average: dict[str, Any] = copied(model.state_dict())
        self._own: dict[str, Any] | None = None

    def restart(self) -> None:
        """Resets the average to the model's current weights, as before the first update."""
        self._require(is_applied=False)
        self.num_updates, self._average = 0, copied(self._model.state_dict())

    @torch.no_grad()
    def restart_rows(self, rows: Iterable[tuple[nn.Parameter, int]]) -> None:
        """Resets the average of rows that were rewritten in place, such as a reinitialised expert's.

        Args:
            rows: (parameter of the model, index along its first axis).
        """
        self._require(is_applied=False)
        # A parameter that modules share has several names, and an average under each.
        names: dict[nn.Parameter, list[str]] = {}
        for name, parameter in self._model.named_parameters(remove_duplicate=False):
            names.setdefault(parameter, []).append(name)
        for parameter, index in rows:
            for name in names[parameter]:
                self._average[name][index] = parameter[index]

    @torch.no_grad()
    def update(self) -> None:
        """Moves the average towards the model's current weights; call it once per real optimizer update."""
        self._require(is_applied=False)
        decay = min(self.decay, (1.0 + self.num_updates) / (10.0 + self.num_updates))
        averaged, current = [], []
        for name, value in self._model.state_dict().items():
            if isinstance(value, Tensor) and value.is_floating_point():
                averaged.append(self._average[name])
                current.append(value)
            else:
                self._set(name, value)
        older_torch.lerp_(averaged, current, 1.0 - decay)
        self.num_updates += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model has the averaged weights inside this context, and its own again afterwards."""
        self.apply_shadow()
        try:
            yield
        finally:
            self.restore()

    def apply_shadow(self) -> None:
        """Gives the model the averaged weights until `restore`; `applied` does both, whatever happens in between."""
        self._require(is_applied=False)
        self._own = copied(self._model.state_dict())
        self._model.load_state_dict(self._average)

    def restore(self) -> None:
        """Gives the model its own weights back."""
        self._require(is_applied=True)
        assert self._own is not None
        self._model.load_state_dict(self._own)
        self._own = None

    def _require(self, *, is_applied: bool) -> None:
        if (self._own is not None) != is_applied:
            raise ValueError(
                "restore() was called, but the averaged weights are not applied; call apply_shadow() first."
                if is_applied
                else "The averaged weights are applied; call restore() before anything else, or use applied()."
            )

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.num_updates = state["num_updates"]
        with torch.no_grad():
            for name in self._average:
                self._set(name, state["average"][name])

    def _set(self, name: str, value: Any) -> None:
        if isinstance(value, Tensor):
            self._average[name].copy_(value)
        else:
            self._average[name] = copied(value)


EMA = WeightAverage
"""The documented name of the class, for a training loop of your own."""


@contextmanager
def carrying(model: nn.Module, weights: Mapping[str, Any]) -> Iterator[None]:
    """The model has these weights inside this context, and its own again afterwards."""
    own = copied(model.state_dict())
    model.load_state_dict(weights)
    try:
        yield
    finally:
        model.load_state_dict(own)
