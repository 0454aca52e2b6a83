"""Configuration and methods that all networks on a backbone share."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from trainable.models.backbones.backbone import Backbone
from trainable.models.backbones.registry import build_backbone, check_backbone, check_pretrained_batch_norm
from trainable.models.user_network import UserNetworkConfig

MIN_SIDE_PX = 32
"""The coarsest map has stride 32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneConfig(UserNetworkConfig):
    """The backbone and its initial weights."""

    backbone: str = "small"
    """One of BACKBONES, or timm:NAME; "small" trains from scratch on a CPU."""
    weights: str = "scratch"
    """"scratch", "imagenet", package:NAME of an installed package, or the path of a state dict, or of a folder with
    one: of the backbone, or of a network that has it."""
    freeze_batch_norm: bool = False
    """Keep the running statistics of pre-trained weights; sensible below about 8 images a batch."""

    def __post_init__(self) -> None:
        self.check_network()
        check_backbone(self.backbone)
        if (self.backbone, self.weights) == ("small", "imagenet"):
            raise ValueError("The small backbone has no ImageNet weights; set weights to scratch or a file's path.")
        if self.freeze_batch_norm:
            check_pretrained_batch_norm(self.backbone, self.weights)

    def build_backbone(self, *, drop_path: float = 0.0) -> Backbone:
        return build_backbone(
            self.backbone, self.weights, freeze_batch_norm=self.freeze_batch_norm, drop_path=drop_path
        )


class BackboneNetwork(nn.Module):
    """A network whose `backbone` can save memory."""

    backbone: Any

    def enable_gradient_checkpointing(self) -> None:
        """Keeps only the maps between the backbone's stages and computes the rest again in the backward pass."""
        self.backbone.checkpointing = True


class PooledBackboneNetwork(BackboneNetwork):
    """A network that reads the mean of its backbone's coarsest map."""

    def features(self, images: Tensor) -> Tensor:
        """Input of the head, (B, D). Raises ValueError when a side is below 32 px."""
        check_sides(images)
        return self.backbone(images)[-1].mean(dim=(2, 3))


def check_sides(images: Tensor) -> None:
    """Raises ValueError when images (B, 3, H, W) are too small for a map at stride 32."""
    if min(images.shape[-2:]) < MIN_SIDE_PX:
        raise ValueError(f"Images of {tuple(images.shape[-2:])} px; the network needs {MIN_SIDE_PX} px or more.")


def check_pyramid_channels(pyramid_channels: int) -> None:
    """Raises ValueError unless the group normalisation of a pyramid can divide its channels."""
    if pyramid_channels < 8 or pyramid_channels % 8:
        raise ValueError(f"pyramid_channels is {pyramid_channels}; give a multiple of 8.")
