"""Routing in the training loop: counts of each micro-batch, terms of the loss, metrics of the epoch.

What: collapse detector and load balancer count each micro-batch once; balancer and z-loss add a term each. In the
balancer's mode "exact" the whole window is counted by `count_ahead`, before its first loss.
Sources: those of the parts.
Cost: that of the parts; `count_ahead` a forward pass. Off: no balancer, no detector, and `z_loss_weight=0`.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from trainable.models.output import ModelOutput, RoutingInfo
from trainable.techniques.experts.collapse_evidence import CollapseVerdict
from trainable.techniques.experts.expert_collapse import ExpertCollapseDetector
from trainable.techniques.experts.load_balance import GlobalBatchLoadBalancer
from trainable.techniques.experts.routing import router_z_loss
from trainable.techniques.parallel.random_streams import random_state_kept


def routing_terms(
    routing: Sequence[RoutingInfo],
    *,
    balancer: GlobalBatchLoadBalancer | None,
    detector: ExpertCollapseDetector | None,
    z_loss_weight: float,
) -> dict[str, Tensor]:
    """The weighted terms of a micro-batch by their documented names, after it was counted.

    Raises:
        ValueError: something here is on, and the model gave no routing.
    """
    if balancer is None and detector is None and not z_loss_weight:
        return {}
    _require(routing)
    if detector is not None:
        detector.observe(routing)
    terms = {}
    if balancer is not None:
        if balancer.mode != "exact":
            balancer.observe(routing)
        terms["load_balance_loss"] = balancer.loss(routing)
    if z_loss_weight:
        terms["z_loss"] = z_loss_weight * router_z_loss(routing)
    return terms


def routing_metrics(
    balancer: GlobalBatchLoadBalancer | None, detector: ExpertCollapseDetector | None, verdict: CollapseVerdict | None
) -> dict[str, object]:
    """Statistics of both under their documented names, those of the detector from its verdict."""
    counted = {} if balancer is None else balancer.get_global_statistics()
    watched = {} if detector is None else detector.get_statistics(verdict)
    metrics = {f"global_{name.removeprefix('global_')}": value for name, value in counted.items()}
    return metrics | {f"collapse_{name}": value for name, value in watched.items()}


@torch.no_grad()
def count_ahead(
    balancer: GlobalBatchLoadBalancer,
    images: Iterable[Tensor],
    *,
    forward: Callable[[Tensor], ModelOutput],
    model: nn.Module,
) -> None:
    """Counts a window's load before its first backward pass; leaves buffers and random state untouched.

    Raises:
        ValueError: the model gave no routing.
    """
    buffers = [buffer.clone() for buffer in model.buffers()]
    with random_state_kept(next(model.parameters()).device):
        for batch in images:
            routing = forward(batch).routing
            _require(routing)
            balancer.observe(routing)
    for buffer, value in zip(model.buffers(), buffers, strict=True):
        buffer.copy_(value)


def _require(routing: Sequence[RoutingInfo]) -> None:
    if not routing:
        raise ValueError(
            "Load balancing, collapse detection or the z-loss is on, but the model returned no routing "
            "information; return routing_info{routing_probs [B,N], expert_assignments [B,k]}, or switch them off."
        )
