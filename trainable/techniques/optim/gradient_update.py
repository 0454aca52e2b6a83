"""One optimizer update: accumulate micro-batches, check that all is finite, unscale and clip once, step.

Divergence: a non-finite loss or gradient ends the training before it reaches the weights.

What: the terms of a window's loss are read once per update, together with the gradient's norm; the first that is not
finite is named. With fp16 an infinite gradient is ordinary (the loss scale was too high): such updates are skipped,
and only many in a row count as divergence.
Cost: one read from the device per update. Off: never; nothing good follows a NaN.

Gradient step: unscale once, clip once, read once, step.

What: the gradient of a whole accumulation window is brought back from the loss scale, and the norms of its tensors are
read together with the window's loss terms in one transfer from the device. A norm that is read needs no clamp on the
device: only a gradient longer than the limit is written to, once. What is not finite never reaches the weights: it ends
the training, but for an fp16 gradient whose scale was too high, which skips the update and lowers the scale.
Source: Pascanu et al., On the Difficulty of Training Recurrent Neural Networks, 2013, https://arxiv.org/abs/1211.5063
(clipping by norm); Micikevicius et al., Mixed Precision Training, 2018, https://arxiv.org/abs/1710.03740 (skipping).
Cost: one pass over the gradients and one read per update. Off: the clipping by `max_grad_norm=None`.

Gradient accumulation: several micro-batches make one optimizer update.

What: a window of micro-batches is weighted by its samples, so that uneven micro-batches and the shorter last window
give exactly the gradient of one large batch. "Exactly" ends where a batch enters otherwise than as a mean over
samples: batch normalisation, contrastive negatives, mixing partners and balance losses see the micro-batch.
Source: Ott et al., Scaling Neural Machine Translation, 2018, https://arxiv.org/abs/1806.00187.
Cost: memory of one micro-batch, time of all. Off: `accumulation_steps=1`.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from functools import partial
from itertools import islice
from math import ceil
from typing import TypeVar

import torch
from torch import Tensor

MAX_SKIPPED_UPDATES = 20
"""Consecutive fp16 updates that may be skipped while the loss scale settles; it halves at each."""


class DivergedError(ArithmeticError):
    """A loss term or the gradient is not finite; carries epoch, step and term."""

    def __init__(self, *, term: str, value: float, epoch: int, step: int) -> None:
        super().__init__(f"{term} became {value} in epoch {epoch}, optimizer step {step}")
        self.term, self.value, self.epoch, self.step = term, value, epoch, step

    def __reduce__(self) -> tuple:
        """Picklable, to be raised in another process."""
        return partial(type(self), term=self.term, value=self.value, epoch=self.epoch, step=self.step), ()


def check_finite(terms: Mapping[str, float], *, epoch: int, step: int) -> None:
    """Raises DivergedError naming the first term that is not finite."""
    for term, value in terms.items():
        if not math.isfinite(value):
            raise DivergedError(term=term, value=value, epoch=epoch, step=step)


class GradientStep:
    """Steps one optimizer; counts the updates that overflowed in a row, and keeps the last terms as they were read."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer
        self.skipped_in_a_row = 0
        self.terms: dict[str, float] = {}

    def __call__(
        self,
        terms: Mapping[str, Tensor],
        *,
        scaler: torch.amp.GradScaler,
        max_grad_norm: float | None,
        epoch: int,
        step: int,
    ) -> bool:
        """Whether the weights moved; the gradients are cleared either way.

        Raises:
            DivergedError: a term of the loss, or the gradient beyond what lowering the loss scale mends, is not finite.
        """
        scaler.unscale_(self._optimizer)
        gradients = [p.grad for group in self._optimizer.param_groups for p in group["params"] if p.grad is not None]
        read = torch.stack([*terms.values(), *torch.foreach.norm(gradients)]).tolist()
        self.terms = dict(zip(terms, read[: len(terms)], strict=True))
        norm = math.hypot(*read[len(terms) :])
        check_finite(self.terms, epoch=epoch, step=step)
        is_finite = math.isfinite(norm)
        self.skipped_in_a_row = 0 if is_finite else self.skipped_in_a_row + 1
        if not is_finite and (not scaler.is_enabled() or self.skipped_in_a_row > MAX_SKIPPED_UPDATES):
            raise DivergedError(term="gradient", value=norm, epoch=epoch, step=step)
        if max_grad_norm is not None and max_grad_norm < norm < math.inf:
            torch.foreach.mul_(gradients, max_grad_norm / norm)
        scaler.step(self._optimizer)
        scaler.update()
        self._optimizer.zero_grad(set_to_none=True)
        return is_finite

    def state_dict(self) -> dict[str, int]:
        return {"skipped_in_a_row": self.skipped_in_a_row}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        self.skipped_in_a_row = state["skipped_in_a_row"]


Batch = TypeVar("Batch")


def updates_of(loader: Iterable, accumulation_steps: int) -> int:
    """Optimizer updates of an epoch; raises ValueError when the loader is empty or does not know its length."""
    if not isinstance(loader, Sized):
        raise ValueError("The loader has no length; the schedule needs to know how many batches an epoch has.")
    if len(loader) == 0:
        raise ValueError("The loader is empty; give it at least one batch.")
    return num_updates(len(loader), accumulation_steps)


def num_updates(num_batches: int, accumulation_steps: int) -> int:
    """Optimizer updates in an epoch of `num_batches` micro-batches; the last window may be short."""
    return ceil(num_batches / accumulation_steps)


def windows(batches: Iterable[Batch], accumulation_steps: int) -> Iterator[list[Batch]]:
    """Groups micro-batches into the windows of one update each; the last window holds what is left."""
    iterator = iter(batches)
    while window := list(islice(iterator, accumulation_steps)):
        yield window


def sample_weights(sizes: Sequence[int]) -> list[float]:
    """Weight of each micro-batch's mean loss within its window, summing to 1: its share of the samples."""
    total = sum(sizes)
    return [size / total for size in sizes]
