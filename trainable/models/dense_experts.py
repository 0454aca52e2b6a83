"""The experts of a mixture in a form that every runtime has: all of them compute, and the gates choose.

What: the same sum as `ConvExperts` and `TokenExperts`, whose grouped products have as many groups as the batch has
    images or experts; ONNX has no such operator.
Cost: all N experts instead of k of N. For exported networks alone; training and prediction keep the sparse form.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainable.models.moe import ConvExperts, MixtureOfExperts, TokenExperts


def with_dense_experts(network: nn.Module) -> nn.Module:
    """Copies the network with all mixtures of experts in dense form."""
    dense = copy.deepcopy(network)
    for module in dense.modules():
        if isinstance(module, MixtureOfExperts):
            module.experts = _DENSE[type(module.experts)](module.experts)
    return dense


class _DenseExperts(nn.Module):
    sparse: Any

    def __init__(self, sparse: nn.Module) -> None:
        super().__init__()
        self.sparse = sparse


class DenseConvExperts(_DenseExperts):
    """`ConvExperts` with the weights of `sparse`."""

    def forward(self, x: Tensor, experts: Tensor, gates: Tensor) -> Tensor:
        """x (B, C, H, W) to the same shape, by experts and gates (B, k)."""
        sparse, channels = self.sparse, x.shape[1]
        spatial = sparse.spatial.reshape(-1, channels, 3, 3)
        hidden = F.conv2d(x, spatial, sparse.spatial_bias.flatten(), padding=1).relu()
        hidden = hidden.unflatten(1, (len(sparse.mix), channels)).flatten(3)
        share = _share_of_each(experts, gates, len(sparse.mix))
        mixed = torch.einsum("bncp,ndc,bn->bdp", hidden, sparse.mix, share)
        return (mixed + (share @ sparse.mix_bias)[:, :, None]).reshape(x.shape)


class DenseTokenExperts(_DenseExperts):
    """`TokenExperts` with the weights of `sparse`."""

    def forward(self, x: Tensor, experts: Tensor, gates: Tensor) -> Tensor:
        """x (B, C, H, W) to the same shape, by experts and gates (B*H*W, k)."""
        sparse, (batch, channels, height, width) = self.sparse, x.shape
        tokens = x.permute(0, 2, 3, 1).reshape(-1, channels)
        hidden = torch.einsum("tc,nch->tnh", tokens, sparse.up).relu()
        share = _share_of_each(experts, gates, len(sparse.up))
        y = torch.einsum("tnh,nhc,tn->tc", hidden, sparse.down, share)
        return y.reshape(batch, height, width, channels).permute(0, 3, 1, 2)


_DENSE = {ConvExperts: DenseConvExperts, TokenExperts: DenseTokenExperts}


def _share_of_each(experts: Tensor, gates: Tensor, num_experts: int) -> Tensor:
    """Gates of all experts, zero if not chosen: (rows, N)."""
    return (F.one_hot(experts, num_experts) * gates[:, :, None]).sum(dim=1)
