"""Losses on the router of a mixture-of-experts layer."""

from collections.abc import Sequence

import torch
from torch import Tensor

from trainable.models.output import RoutingInfo


def router_z_loss(routing: Sequence[RoutingInfo]) -> Tensor:
    """Mean squared log-partition of the router's logits, averaged over tokens and layers: keeps logits small.

    Source: Zoph et al., ST-MoE: Designing Stable and Transferable Sparse Expert Models, 2022,
    https://arxiv.org/abs/2202.08906, equation 5.

    Raises:
        ValueError: a layer gives no router logits.
    """
    if any(info.router_logits is None for info in routing):
        raise ValueError("The z-loss needs router_logits in the routing information of every layer; a layer gave none.")
    return torch.stack([info.router_logits.float().logsumexp(dim=1).square().mean() for info in routing]).mean()
