"""Load balancing of a mixture of experts over the global batch, with a gradient at the router.

What: two statistics of the routing are pushed towards uniform, each in units of the fair share 1/N, so that a given
relative imbalance costs the same for any number of experts N:

- `alpha_l2` weighs the importance: the L2 deviation of the mean router probability of the micro-batch.
- `alpha_cv` weighs the load: the squared coefficient of variation (CV) of the assignments, pooled over the
  micro-batches of an optimizer update and over ranks. Counts have no gradient, so each micro-batch adds the slope of
  CV^2 at the pooled load times its own mean router probability.

Pooling lets a micro-batch of one visual domain go to one expert as long as the update as a whole is balanced.
Modes: "running" pools what the update has counted so far, so early micro-batches see less; "previous" uses a decaying
sum over former updates; "exact" needs every micro-batch of the update observed before its first loss. In the last two
the load term's summed gradient does not depend on how a batch is cut into micro-batches or ranks.
Sources: Shazeer et al., Outrageously Large Neural Networks, 2017, https://arxiv.org/abs/1701.06538 (importance, load,
CV^2); Fedus et al., Switch Transformers, 2021, https://arxiv.org/abs/2101.03961 (counts times probabilities; the slope
here is twice theirs); Qiu et al., Demons in the Detail, 2025, https://arxiv.org/abs/2501.11873 (the global batch).
Cost: N counts a layer and micro-batch; with several ranks one all-reduce of them per update ("running": per
micro-batch) and one of N probabilities per micro-batch; "exact" adds a forward pass. Nothing is read back to the host.
Off: no balancer, or an alpha of 0.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from trainable.models.output import RoutingInfo
from trainable.techniques.experts.routing import mean_probabilities, routing_counts, summed_over_ranks

Mode = Literal["running", "previous", "exact"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalanceConfig:
    """Weights of the two balance terms, and which load the second one uses."""

    alpha_l2: float = 0.01
    """Weight of the micro-batch's importance term, >= 0."""
    alpha_cv: float = 0.01
    """Weight of the global batch's load term, >= 0."""
    balance_mode: Mode = "running"
    """Load that the second term uses: "running", "previous" or "exact"."""
    previous_decay: float = 0.9
    """Share of its memory that mode "previous" keeps at each update, 0 up to but not including 1."""

    def __post_init__(self) -> None:
        for name in ("alpha_l2", "alpha_cv"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be a finite number >= 0, where 0 is off.")
        if self.balance_mode not in get_args(Mode):
            raise ValueError(f"balance_mode is {self.balance_mode!r}; allowed: {', '.join(get_args(Mode))}.")
        if not 0.0 <= self.previous_decay < 1.0:
            raise ValueError(f"previous_decay is {self.previous_decay}; it must be at least 0 and below 1.")


def importance_l2(mean_probability: Tensor) -> Tensor:
    """Squared L2 distance from uniform over the squared length of uniform; (..., N) that sums to 1 -> (...)."""
    num_experts = mean_probability.shape[-1]
    return num_experts * (mean_probability - 1.0 / num_experts).square().sum(dim=-1)


def cv_squared(fractions: Tensor) -> Tensor:
    """Squared CV with the population deviation; (..., N) that sums to 1 -> (...), at most N / k - 1 for top-k."""
    return (fractions * fractions.shape[-1] - 1.0).square().mean(dim=-1)


def global_cv_surrogate(global_fractions: Tensor, mean_probability: Tensor) -> Tensor:
    """CV^2 of the global load, with its slope there as the gradient of the mean probability.

    Args:
        global_fractions: share of the pooled assignments, shape (..., N).
        mean_probability: mean router probability of the micro-batch, shape (..., N).
    """
    fractions = global_fractions.detach()
    slope = 2.0 * (fractions * fractions.shape[-1] - 1.0)
    return cv_squared(fractions) + (slope * (mean_probability - mean_probability.detach())).sum(dim=-1)


class GlobalBatchLoadBalancer:
    """Counts routing and turns it into the balance loss; see the module for the two terms and the modes.

    Each micro-batch is observed once and then asked for its loss; `reset_batch_statistics` follows the update.
    Three sums of routing_counts (L, N + 2) over L layers are kept apart: the window of this update, the decaying
    memory of former ones, and lifetime totals. All ranks call the same methods in the same order.

    Attributes:
        alpha_l2, alpha_cv: weights of the two terms; may be changed while training.
        coefficient_factor: multiplies both; raised by the collapse response and, unlike the weights, part of the state.
    """

    def __init__(
        self,
        num_experts: int,
        alpha_l2: float = 0.01,
        alpha_cv: float = 0.01,
        *,
        mode: Mode = "running",
        previous_decay: float = 0.9,
    ) -> None:
        if num_experts < 2:
            raise ValueError(f"num_experts is {num_experts}; balancing needs at least 2. Off is no balancer.")
        LoadBalanceConfig(alpha_l2=alpha_l2, alpha_cv=alpha_cv, balance_mode=mode, previous_decay=previous_decay)
        self.num_experts = num_experts
        self.alpha_l2 = alpha_l2
        self.alpha_cv = alpha_cv
        self.coefficient_factor = 1.0
        self.mode = mode
        self.previous_decay = previous_decay
        self._window: Tensor | None = None
        self._pooled_window: Tensor | None = None
        self._previous: Tensor | None = None
        self._lifetime: Tensor | None = None

    @classmethod
    def from_config(cls, num_experts: int, config: LoadBalanceConfig) -> "GlobalBatchLoadBalancer":
        return cls(
            num_experts,
            config.alpha_l2,
            config.alpha_cv,
            mode=config.balance_mode,
            previous_decay=config.previous_decay,
        )

    def observe(self, routing: Sequence[RoutingInfo]) -> None:
        """Counts one micro-batch, one entry per layer; no gradient, no host read."""
        counted = torch.stack([routing_counts(info, self.num_experts) for info in routing])
        self._window = _plus(self._window, counted)
        self._pooled_window = None

    def loss(self, routing: Sequence[RoutingInfo]) -> Tensor:
        """The weighted terms of one micro-batch, averaged over layers: a scalar with a gradient at the router.

        Accumulate it like the main loss, weighted by the micro-batch's share of the window.

        Raises:
            ValueError: the load is not known yet, because nothing was observed in this window.
        """
        if self.mode == "previous":
            return self._weighted(routing, self._previous)
        if self._window is None:
            raise ValueError("The balance loss needs the routing that observe() counts; call observe() first.")
        return self._weighted(routing, self._pooled(self._window))

    def update(
        self, routing_probs: Tensor, expert_assignments: Tensor, capacity_overflow: Tensor | int | None = None
    ) -> None:
        """The documented form of `observe` for one layer; probabilities (T, N), assignments (T, k)."""
        overflow = None if capacity_overflow is None else torch.as_tensor(capacity_overflow)
        info = RoutingInfo(
            routing_probs=routing_probs, expert_assignments=expert_assignments, capacity_overflow=overflow
        )
        self.observe([info])

    def compute_load_balance_loss(self, routing_probs: Tensor, expert_assignments: Tensor) -> Tensor:
        """The documented form of `loss` for one layer, called before `update` counts the micro-batch."""
        info = RoutingInfo(routing_probs=routing_probs, expert_assignments=expert_assignments)
        if self.mode != "running":
            return self.loss([info])
        own = routing_counts(info, self.num_experts)[None]
        pooled = summed_over_ranks(_plus(self._window, own))
        return self._weighted([info], pooled)

    def reset_batch_statistics(self) -> None:
        """Closes the window of an optimizer update: adds it to the memory and to the lifetime totals."""
        if self._window is None:
            return
        faded = None if self._previous is None else self.previous_decay * self._previous
        self._previous = _plus(faded, self._pooled(self._window).float())
        self._lifetime = _plus(self._lifetime, self._pooled(self._window))
        self._window = self._pooled_window = None

    def get_global_statistics(self) -> dict[str, float | int | list[float]]:
        """Lifetime statistics under their documented names, the open window of this rank included; read to the host.

        With several layers `global_expert_usage` lists the experts layer after layer, the other usage numbers are
        taken over that list, and tokens are summed over layers. `capacity_overflow_rate` is per assignment.
        """
        seen = [part.cpu() for part in (self._lifetime, self._window) if part is not None]
        total = torch.stack(seen).sum(dim=0) if seen else torch.zeros(1, self.num_experts + 2, dtype=torch.int64)
        counts = total[:, : self.num_experts].double()
        usage = (counts / counts.sum(dim=1, keepdim=True).clamp(min=1.0)).flatten()
        tokens, overflow = total[:, self.num_experts :].sum(dim=0).tolist()
        return {
            "global_expert_usage": usage.tolist(),
            "min_global_usage": usage.min().item(),
            "max_global_usage": usage.max().item(),
            "global_usage_std": usage.std(correction=0).item(),
            "capacity_overflow_rate": overflow / max(1.0, counts.sum().item()),
            "total_tokens_processed": tokens,
        }

    def state_dict(self) -> dict[str, Tensor | float | None]:
        """Counters and the raised factor, not the configured weights."""
        return {
            "window": self._window,
            "previous": self._previous,
            "lifetime": self._lifetime,
            "coefficient_factor": self.coefficient_factor,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` gave; a state of another number of experts is a ValueError."""
        for name in ("window", "previous", "lifetime"):
            counters = state[name]
            if counters is not None and counters.shape[-1] != self.num_experts + 2:
                raise ValueError(
                    f"The saved balancer counts {counters.shape[-1] - 2} experts, this one {self.num_experts}; "
                    "resume with the number of experts that the run was started with."
                )
            setattr(self, f"_{name}", counters)
        self._pooled_window = None
        self.coefficient_factor = state["coefficient_factor"]

    def _weighted(self, routing: Sequence[RoutingInfo], counters: Tensor | None) -> Tensor:
        probability = mean_probabilities(routing)
        fractions = torch.full_like(probability, 1.0 / self.num_experts)
        if counters is not None:
            counts = counters[:, : self.num_experts].to(probability)
            total = counts.sum(dim=1, keepdim=True)
            # Where nothing was counted they stay uniform, which pushes nothing.
            fractions = torch.where(total > 0, counts / total, fractions)
        importance = self.alpha_l2 * importance_l2(probability)
        load = self.alpha_cv * global_cv_surrogate(fractions, probability)
        return self.coefficient_factor * (importance + load).mean()

    def _pooled(self, window: Tensor) -> Tensor:
        """The window summed over ranks; reduced once and cached for further losses."""
        if self._pooled_window is None:
            self._pooled_window = summed_over_ranks(window)
        return self._pooled_window


def _plus(total: Tensor | None, counters: Tensor) -> Tensor:
    if total is None:
        return counters
    if len(total) != len(counters):
        raise ValueError(
            f"{len(counters)} layers were routed after {len(total)}; give the routing of every layer each time."
        )
    return total.to(counters.device) + counters
