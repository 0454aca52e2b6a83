"""The base class of backbones: four stages in a row, whose maps checkpointing computes again in the backward pass."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MOST_HEADS = 8


class Backbone(nn.Module):
    """Four stages in a row; the result is one map per stage, finest first.

    Args:
        stages: with strides 4, 2, 2 and 2.
        channels: of the map of each stage.
        normalise: images (B, 3, H, W) in [0, 1] and their moments, or None, to what the first stage takes.
    """

    def __init__(self, stages: Sequence[nn.Module], channels: tuple[int, ...], normalise: Callable[..., Tensor]):
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.channels = channels
        self.num_features, self.stride_px = channels[-1], 32
        self.num_heads = math.gcd(channels[-1], MOST_HEADS)
        """Heads of an attention over the coarsest map."""
        self.normalise = normalise
        self.batch_norm_frozen = False
        self.checkpointing = False

    def forward(self, images: Tensor, moments: tuple[Tensor, Tensor] | None = None) -> list[Tensor]:
        """Images (B, 3, H, W) in [0, 1] to maps (B, channels[i], H / stride, W / stride), sides rounded up.

        A caller that knows the images' `channel_moments` passes them on: they take a twentieth of an evaluation.
        """
        x, maps = self.normalise(images, moments), []
        for stage in self.stages:
            if self.checkpointing and self.training:
                x = checkpoint(stage, x, use_reentrant=False, **_kept_once(stage))
            else:
                x = stage(x)
            maps.append(x)
        return maps

    def train(self, mode: bool = True) -> "Backbone":
        """Frozen BatchNorm layers keep their running statistics in training too."""
        super().train(mode)
        if self.batch_norm_frozen:
            for layer in batch_norms(self):
                layer.eval()
        return self


class Normalisation(nn.Module):
    """Normalises images by the channel means and deviations of those that the weights were trained on.

    Args:
        is_saved: whether state dicts hold both; they must where both depend on the weights, not on the network alone.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: tuple[float, ...], deviation: tuple[float, ...], *, is_saved: bool) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=is_saved)
        self.register_buffer("deviation", torch.tensor(deviation).view(3, 1, 1), persistent=is_saved)

    def forward(self, images: Tensor, moments: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Ignores the images' own moments."""
        return (images - self.mean) / self.deviation


def batch_norms(module: nn.Module) -> list[nn.BatchNorm2d]:
    return [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]


def _kept_once(stage: nn.Module) -> dict[str, Any]:
    """Checkpointing options with which BatchNorm counts a batch once.

    A compiled graph updates the statistics in its forward part alone, and takes no such contexts.
    """
    return {} if torch.compiler.is_compiling() else {"context_fn": partial(_contexts, stage)}


def _contexts(stage: nn.Module) -> tuple[AbstractContextManager, AbstractContextManager]:
    """Contexts of the forward pass and of its recomputation in the backward pass."""
    return nullcontext(), _StatisticsKept(stage)


@dataclass(eq=False)
class _StatisticsKept(AbstractContextManager):
    """Context in which BatchNorm does not count the batch of a recomputed forward pass again.

    It may be entered several times, because each task's backward pass recomputes the graph.
    """

    stage: nn.Module

    def __enter__(self) -> None:
        layers = batch_norms(self.stage)
        self._momenta = [(layer, layer.momentum) for layer in layers]
        counts = [layer.num_batches_tracked for layer in layers]
        self._counts = [(count, count.clone()) for count in counts if count is not None]
        for layer in layers:
            layer.momentum = 0.0

    def __exit__(self, *error: object) -> None:
        for layer, momentum in self._momenta:
            layer.momentum = momentum
        for count, before in self._counts:
            count.copy_(before)
