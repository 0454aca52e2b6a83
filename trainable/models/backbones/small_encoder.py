"""A small encoder that trains from scratch on a CPU: residual blocks with GroupNorm, 16-24-32-48 channels.

What: four stages at strides 4, 8, 16 and 32 on the per-image standardised picture. GroupNorm because batches are
    small and because a picture's features must not depend on its neighbours in the batch.
Sources: Kaiming He et al., "Deep Residual Learning for Image Recognition", 2015, https://arxiv.org/abs/1512.03385;
    Yuxin Wu, Kaiming He, "Group Normalization", 2018, https://arxiv.org/abs/1803.08494.
Cost: 0.1 M parameters.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from trainable.models.backbones.backbone import Backbone
from trainable.models.backbones.weight_files import load_matching_weights

SMALL_CHANNELS = (16, 24, 32, 48)
GREY_LEVEL = 1 / 255


def build_small(weights: str) -> Backbone:
    """Builds the encoder from "scratch", or with the weights of a file.

    Raises:
        ValueError: weights "imagenet", or a file that does not fit.
    """
    if weights == "imagenet":
        raise ValueError("The small backbone has no ImageNet weights; use weights='scratch' or the path of a file.")
    backbone = Backbone(_stages(), SMALL_CHANNELS, standardise_images)
    if weights != "scratch":
        load_matching_weights(backbone, weights)
    return backbone


def standardise_images(images: Tensor, moments: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """Scales each channel of each image (B, 3, H, W) to mean 0 and deviation 1, which removes a colour cast."""
    mean, variance = channel_moments(images) if moments is None else moments
    # The spread of one grey level added to every channel's keeps a flat one from having its noise blown up.
    scale = (variance + GREY_LEVEL**2).rsqrt()
    width = images.shape[3]
    offsets, scales = (values.repeat(1, width)[:, None] for values in (-mean * scale, scale))
    return torch.addcmul(offsets, _rows(images), scales).unflatten(2, (width, -1)).permute(0, 3, 1, 2)


def channel_moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel of images (B, 3, H, W) in [0, 1], both (B, 3)."""
    rows = _rows(images)
    mean, square = (
        powers.mean(dim=1).unflatten(1, (-1, images.shape[1])).mean(dim=1) for powers in (rows, rows.square())
    )
    return mean, (square - mean.square()).clamp_min(0)


def _rows(images: Tensor) -> Tensor:
    """Rows of pixels with interleaved channels, (B, H, W * 3).

    That is their order in memory with channels last: on a CPU, work on whole rows takes a third to a sixth of the time.
    """
    return images.float().permute(0, 2, 3, 1).flatten(2)


class ResidualBlock(nn.Module):
    """Maps (B, C, H, W) to the same shape: two 3x3 convolutions with GroupNorm beside an identity path."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(_conv_norm(channels, channels), nn.ReLU(), _conv_norm(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.body(x)).relu()


def _stages() -> list[nn.Sequential]:
    first, *_ = SMALL_CHANNELS
    # No norm after the first convolution: its input is standardised already, and at stride 2 it would cost a tenth
    # of the whole training step.
    stem = nn.Conv2d(3, first, 3, stride=2, padding=1)
    begun: list[nn.Module] = [stem, nn.ReLU()]
    stages = []
    for before, after in pairwise((first, *SMALL_CHANNELS)):
        stages.append(nn.Sequential(*begun, _conv_norm(before, after, stride=2), nn.ReLU(), ResidualBlock(after)))
        begun = []
    return stages


def _conv_norm(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, padding=1, bias=False), nn.GroupNorm(8, after))
