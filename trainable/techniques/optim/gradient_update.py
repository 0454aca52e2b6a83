"""One optimizer update: accumulate micro-batches, unscale, check that all is finite, clip, step.

What: a window of micro-batches is weighted by its samples, so that uneven micro-batches and the shorter last window
give exactly the gradient of one large batch. Exceptions are what is not a mean over samples: batch normalisation,
contrastive negatives, mixing partners and balance losses see the micro-batch. The window's gradient is divided by the
loss scale; the norms of its tensors and the loss terms are read in one transfer from the device. Only a gradient above
the limit is written to, once. A value that is not finite never reaches the weights: it ends the training with the name
of the first such term. An infinite fp16 gradient is ordinary (the loss scale was too high): it skips the update and
lowers the scale, and only many in a row are divergence.
Source: Ott et al., Scaling Neural Machine Translation, 2018, https://arxiv.org/abs/1806.00187 (accumulation); Pascanu
et al., On the Difficulty of Training Recurrent Neural Networks, 2013, https://arxiv.org/abs/1211.5063 (clipping by
norm); Micikevicius et al., Mixed Precision Training, 2018, https://arxiv.org/abs/1710.03740 (skipping).
Cost: activations of one micro-batch and the images of all, time of all; one pass over the gradients and one read an
update.
Off: accumulation by `accumulation_steps=1`, clipping by `max_grad_norm=None`; the check never is.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from math import ceil
from typing import TypeVar

import torch
from torch import Tensor

from trainable.saved_state import SavedState
from trainable.techniques.optim import older_torch

Batch = TypeVar("Batch")

MAX_SKIPPED_UPDATES = 20
"""Consecutive fp16 updates that may be skipped while the loss scale settles; it halves at each."""


class DivergedError(ArithmeticError):
    """A loss term or the gradient is not finite; carries the epoch, from 0, step and term. Its text counts from 1.

    The step is None where a loop of the user's own makes the updates, which nobody counts.
    """

    def __init__(self, *, term: str, value: float, epoch: int, step: int | None) -> None:
        # No learning rate has acted yet.
        is_first = epoch == step == 0
        cause = "; no update was made before: the network, its weights or the data give it" if is_first else ""
        place = f"epoch {epoch + 1}" if step is None else f"epoch {epoch + 1}, optimizer step {step}"
        super().__init__(f"{term} became {value} in {place}{cause}")
        self.term, self.value, self.epoch, self.step = term, value, epoch, step

    def __reduce__(self) -> tuple:
        """Makes the error picklable, to raise it in another process."""
        return partial(type(self), term=self.term, value=self.value, epoch=self.epoch, step=self.step), ()


def check_finite(terms: Mapping[str, float], *, epoch: int, step: int | None) -> None:
    """Raises DivergedError naming the first term that is not finite."""
    for term, value in terms.items():
        if not math.isfinite(value):
            raise DivergedError(term=term, value=value, epoch=epoch, step=step)


@dataclass(eq=False)
class GradientStep(SavedState):
    """Steps one optimizer, and counts the updates that overflowed in a row.

    A technique that changes the gradient of a whole update has its place where it is clipped to `max_grad_norm`: the
    gradient is unscaled, summed over ranks and finite there.
    """

    saved = ("skipped_in_a_row",)

    optimizer: torch.optim.Optimizer
    skipped_in_a_row: int = field(default=0, init=False)

    def __call__(
        self,
        terms: Mapping[str, Tensor],
        *,
        scaler: torch.amp.GradScaler,
        max_grad_norm: float | None,
        epoch: int,
        step: int,
    ) -> tuple[bool, dict[str, float]]:
        """Whether the weights moved, and the terms as they were read; the gradients are cleared either way.

        Raises:
            DivergedError: a term of the loss, or the gradient beyond what a lower loss scale cures, is not finite.
        """
        scaler.unscale_(self.optimizer)
        updated = [p for group in self.optimizer.param_groups for p in group["params"] if p.grad is not None]
        gradients = [p.grad for p in updated]
        read = torch.stack([*terms.values(), *older_torch.norms(gradients)]).tolist()
        values = dict(zip(terms, read[: len(terms)], strict=True))
        norm = math.hypot(*read[len(terms) :])
        check_finite(values, epoch=epoch, step=step)
        is_finite = math.isfinite(norm)
        self.skipped_in_a_row = 0 if is_finite else self.skipped_in_a_row + 1
        if not is_finite and (not scaler.is_enabled() or self.skipped_in_a_row > MAX_SKIPPED_UPDATES):
            raise DivergedError(term="gradient", value=norm, epoch=epoch, step=step)
        if is_finite and max_grad_norm is not None and norm > max_grad_norm:
            older_torch.mul_(gradients, max_grad_norm / norm)
        if is_finite:
            # Not by the scaler: around an optimizer that is not fused it would read once more that all is finite.
            self.optimizer.step()
        scaler.update()
        # As zero_grad does, without what surrounds it there: its profiling takes longer than the loop.
        for parameter in updated:
            parameter.grad = None
        return is_finite, values


def updates_of(loader: Iterable, accumulation_steps: int) -> int:
    """Optimizer updates of an epoch; raises ValueError when the loader is empty or does not know its length."""
    if not isinstance(loader, Sized):
        raise ValueError("The loader has no length; the schedule needs to know how many batches an epoch has.")
    if len(loader) == 0:
        raise ValueError("The loader is empty; give it at least one batch.")
    # The last window may be short.
    return ceil(len(loader) / accumulation_steps)


def windows(batches: Iterable[Batch], accumulation_steps: int) -> Iterator[list[Batch]]:
    """Groups micro-batches into the windows of one update each; the last window holds what is left."""
    iterator = iter(batches)
    while window := list(islice(iterator, accumulation_steps)):
        yield window


def sample_weights(sizes: Sequence[int]) -> list[float]:
    """Weight of each micro-batch's mean loss within its window, summing to 1: its share of the samples."""
    total = sum(sizes)
    return [size / total for size in sizes]
