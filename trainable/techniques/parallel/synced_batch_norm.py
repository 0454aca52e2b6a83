"""Batch normalisation over the whole micro-batch of all ranks, not over a rank's part of it.

What: sums are added over ranks in the forward pass and their gradients in the backward pass, so that a network
normalises as it would in one process. On every device; torch's SyncBatchNorm is for GPUs alone, and not a BatchNorm2d,
so that code which freezes those layers would miss it.
Source: Ioffe and Szegedy, Batch Normalization, 2015, https://arxiv.org/abs/1502.03167; Peng et al., MegDet, CVPR 2018,
https://arxiv.org/abs/1711.07240 (statistics over devices).
Cost: two small sums over ranks a layer and pass. Off: one rank, or frozen layers.
"""

from typing import Any

import torch
from torch import Tensor, distributed, nn


class _SumOverRanks(torch.autograd.Function):
    """Sum over ranks; its gradient is the sum of the ranks' gradients."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    backward = forward


class _OverRanks(nn.Module):
    """Mixin that takes over parameters and buffers of the layer it replaces; list it before that layer's class."""

    dimensions: tuple[int, ...]
    """Allowed numbers of dimensions of the input."""
    num_features: int
    momentum: float | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(self, layer: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
        super().__init__(layer.num_features, layer.eps, layer.momentum, layer.affine, layer.track_running_stats)
        self.weight, self.bias = layer.weight, layer.bias
        self.running_mean, self.running_var = layer.running_mean, layer.running_var
        self.num_batches_tracked = layer.num_batches_tracked
        self.training = layer.training

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        if x.dim() not in self.dimensions:
            raise ValueError(f"the input has {x.dim()} dimensions; {type(self).__name__} takes {self.dimensions}")
        axes, shape = [0, *range(2, x.dim())], [1, -1] + [1] * (x.dim() - 2)
        # In fp32 whatever the autocast, as batch normalisation always is.
        with torch.autocast(x.device.type, enabled=False):
            values = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
            # Filled there: a number that is sent there is waited for, in every layer.
            count = values.new_full((1,), x.numel() / self.num_features)
            sums = _SumOverRanks.apply(torch.cat([values.sum(axes), count]))
            mean, total = sums[:-1] / sums[-1].detach(), sums[-1].detach()
            centred = values - mean.view(shape)
            variance = _SumOverRanks.apply(centred.square().sum(axes)) / total
            self._remember(mean.detach(), variance.detach(), total)
            normalised = centred * (variance + self.eps).rsqrt().view(shape)
            if self.affine:
                normalised = normalised * self.weight.view(shape) + self.bias.view(shape)
        return normalised.to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, total: Tensor) -> None:
        means, variances, batches = self.running_mean, self.running_var, self.num_batches_tracked
        if not self.track_running_stats or means is None or variances is None or batches is None:
            return
        batches += 1
        share = 1.0 / batches if self.momentum is None else self.momentum
        means += share * (mean - means)
        variances += share * (variance * total / (total - 1).clamp(min=1) - variances)


class BatchNorm1dOverRanks(_OverRanks, nn.BatchNorm1d):
    """Synchronised batch norm for (B, C) and (B, C, L)."""

    dimensions = (2, 3)


class BatchNorm2dOverRanks(_OverRanks, nn.BatchNorm2d):
    """Synchronised batch norm for (B, C, H, W)."""

    dimensions = (4,)


class BatchNormAct2dOverRanks(BatchNorm2dOverRanks):
    """timm's batch normalisation, which applies dropout and an activation to its output."""

    def __init__(self, layer: Any) -> None:
        super().__init__(layer)
        self.drop, self.act = layer.drop, layer.act

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.drop(super().forward(x)))


# By their names, for timm need not be installed.
_SYNCED: dict[str, type[_OverRanks]] = {
    "torch.nn.modules.batchnorm.BatchNorm1d": BatchNorm1dOverRanks,
    "torch.nn.modules.batchnorm.BatchNorm2d": BatchNorm2dOverRanks,
    "timm.layers.norm_act.BatchNormAct2d": BatchNormAct2dOverRanks,
}


def sync_batch_norms(model: nn.Module) -> None:
    """Replaces every batch normalisation inside `model` by one over all ranks; parameters stay the same objects.

    Raises:
        ValueError: a layer derives from one of torch and may do more, which no replacement would.
    """
    for name, layer in model.named_children():
        kind = f"{type(layer).__module__}.{type(layer).__qualname__}"
        if not isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            sync_batch_norms(layer)
        elif kind in _SYNCED:
            setattr(model, name, _SYNCED[kind](layer))
        elif not isinstance(layer, _OverRanks):
            raise ValueError(
                f"{name} is a {type(layer).__name__}, a batch normalisation of its own kind, which several processes "
                "can't share; take torch's, or train with one process."
            )
