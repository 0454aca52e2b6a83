"""Counts of expert assignments, for load balancing and collapse detection, and the router's z-loss.

Nothing here reads the device.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, distributed

from trainable.models.output import RoutingInfo


def router_z_loss(routing: Sequence[RoutingInfo]) -> Tensor:
    """Mean squared log-partition of the router's logits, averaged over tokens and layers: keeps logits small.

    Source: Zoph et al., ST-MoE: Designing Stable and Transferable Sparse Expert Models, 2022,
    https://arxiv.org/abs/2202.08906, equation 5.

    Raises:
        ValueError: a layer gives no router logits.
    """
    logits = [info.router_logits for info in routing if info.router_logits is not None]
    if len(logits) < len(routing):
        raise ValueError("The z-loss needs router_logits in the routing information of every layer; a layer gave none.")
    return torch.stack([one.float().logsumexp(dim=1).square().mean() for one in logits]).mean()


def mean_probabilities(routing: Sequence[RoutingInfo]) -> Tensor:
    """The mean router probability of each layer over the counted tokens of all ranks, with this rank's own gradient.

    A loss of it has, weighted by samples and summed over ranks, the gradient of the whole micro-batch; (L, N).
    """
    means, numbers = [], []
    for info in routing:
        probs = info.routing_probs.float()
        if info.token_mask is None:
            means.append(probs.mean(dim=0))
            numbers.append(probs.new_full((), len(probs)))
        else:
            kept = info.token_mask.to(probs.dtype)
            means.append((probs * kept[:, None]).sum(dim=0) / kept.sum().clamp(min=1.0))
            numbers.append(kept.sum())
    own = torch.stack(means)
    if num_ranks() == 1:
        return own
    values, tokens = own.detach(), torch.stack(numbers)[:, None]
    total = summed_over_ranks(torch.cat([values * tokens, tokens], dim=1))
    return own + (total[:, :-1] / total[:, -1:].clamp(min=1.0) - values)


def routing_counts(info: RoutingInfo, num_experts: int) -> Tensor:
    """Assignments to each expert, then tokens, then overflowed assignments; masked tokens left out; int64, (N + 2,).

    Raises:
        ValueError: the router chooses among another number of experts.
    """
    if info.routing_probs.shape[-1] != num_experts:
        raise ValueError(
            f"The routing covers {info.routing_probs.shape[-1]} experts, num_experts is {num_experts}; "
            "give the number of experts in the model."
        )
    experts = torch.arange(num_experts, device=info.expert_assignments.device)
    hits = info.expert_assignments[..., None] == experts
    kept = torch.ones_like(hits[:, 0, 0]) if info.token_mask is None else info.token_mask.bool()
    assignments = (hits & kept[:, None, None]).sum(dim=(0, 1))
    overflow = assignments.new_zeros(()) if info.capacity_overflow is None else info.capacity_overflow.to(assignments)
    return torch.cat([assignments, torch.stack([kept.sum(), overflow])])


def summed_over_ranks(values: Tensor) -> Tensor:
    """The sum over all ranks, on every rank; the values themselves where torch.distributed is not set up."""
    if num_ranks() == 1:
        return values
    total = values.clone()
    distributed.all_reduce(total)
    return total


def num_ranks() -> int:
    """Number of ranks, 1 without torch.distributed."""
    is_set_up = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if is_set_up else 1
