"""The end of an optimizer update: unscale once, clip once, look once, step.

What: the gradient of a whole accumulation window is brought back from the loss scale, and the norms of its tensors are
read together with the window's loss terms in one transfer from the device. A norm that is read needs no clamp on the
device: only a gradient longer than the limit is written to, once. What is not finite never reaches the weights: it ends
the training, but for an fp16 gradient whose scale was too high, which skips the update and lowers the scale.
Source: Pascanu et al., On the Difficulty of Training Recurrent Neural Networks, 2013, https://arxiv.org/abs/1211.5063
(clipping by norm); Micikevicius et al., Mixed Precision Training, 2018, https://arxiv.org/abs/1710.03740 (skipping).
Cost: one pass over the gradients and one read per update. Off: the clipping by `max_grad_norm=None`.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from trainable.techniques.divergence import MAX_SKIPPED_UPDATES, DivergedError, check_finite


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
