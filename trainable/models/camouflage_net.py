"""Camouflage segmentation network: backbone, top-down pyramid, mixture of experts at stride 4, three heads.

Sources: Tsung-Yi Lin et al., "Feature Pyramid Networks for Object Detection", 2017, https://arxiv.org/abs/1612.03144;
    Chen-Yu Lee et al., "Deeply-Supervised Nets", 2014, https://arxiv.org/abs/1409.5185 (the auxiliary heads).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainable.models.backbone_config import BackboneConfig, BackboneNetwork, check_pyramid_channels, check_sides
from trainable.models.backbones.small_encoder import channel_moments
from trainable.models.moe import MixtureOfExperts, Routing
from trainable.models.output import ModelOutput

RARE_FOREGROUND_LOGIT = -2.0
"""Initial bias of every head: about one pixel in eight is object. With 0 thin objects are learned far later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CamouflageNetConfig(BackboneConfig):
    """Architecture of the network."""

    pyramid_channels: int = 32
    """Channels of the pyramid and of the experts, a multiple of 8."""
    num_experts: int = 4
    """At least 1; 1 builds one plain block without a router."""
    top_k: int = 2
    """Experts per image or position, from 1 to num_experts."""
    routing: Routing = "image"
    """"image": one decision per image from its colour statistics; "token": one per position at stride 4."""
    capacity_factor: float | None = None
    """Most assignments an expert serves, in multiples of its fair share, at least 1; None is unlimited."""
    router_noise: float = 0.0
    """Standard deviation of the noise on router logits while training, at least 0."""

    def __post_init__(self) -> None:
        BackboneConfig.__post_init__(self)
        if self.routing not in ("image", "token"):
            raise ValueError(f"routing is {self.routing!r}; allowed: image, token.")
        check_pyramid_channels(self.pyramid_channels)
        if self.num_experts < 1:
            raise ValueError(f"num_experts is {self.num_experts}; give at least 1.")
        if not 1 <= self.top_k <= self.num_experts:
            raise ValueError(
                f"top_k is {self.top_k}; with num_experts={self.num_experts} give 1 to {self.num_experts}."
            )
        if self.capacity_factor is not None and not 1 <= self.capacity_factor < math.inf:
            raise ValueError(f"capacity_factor is {self.capacity_factor}; give at least 1, or None for no limit.")
        if not 0 <= self.router_noise < math.inf:
            raise ValueError(f"router_noise is {self.router_noise}; give 0 (off) or more.")

    @property
    def num_routed_experts(self) -> int:
        """Number of experts; 1, without routing, for a user's own network."""
        return 1 if self.network is not None else self.num_experts


class CamouflageNet(BackboneNetwork):
    """Images (B, 3, H, W) in [0, 1], any H and W from 32, to logits of the object's mask.

    Gradient checkpointing leaves the experts out, so that routing is decided and counted once.
    """

    def __init__(self, config: CamouflageNetConfig):
        super().__init__()
        self.config = config
        width = config.pyramid_channels
        self.backbone = config.build_backbone()
        self.pyramid = _TopDownPyramid(self.backbone.channels, width)
        self.moe = MixtureOfExperts(
            width,
            num_experts=config.num_experts,
            top_k=config.top_k,
            routing=config.routing,
            router_features=6 if config.routing == "image" else None,
            capacity_factor=config.capacity_factor,
            router_noise=config.router_noise,
        )
        self.head = _Head(width)
        self.aux_heads = nn.ModuleList(_Head(width) for _ in range(2))

    def forward(self, images: Tensor) -> ModelOutput:
        """Logits (B, 1, H, W) and embeddings (B, pyramid_channels, H / 4, W / 4), sides rounded up.

        While training also auxiliary logits (B, 1, h, w) at strides 8 and 16.

        Raises:
            ValueError: a side is below 32 px.
        """
        check_sides(images)
        moments = channel_moments(images) if self.config.routing == "image" else None
        fine, *coarse = self.pyramid(self.backbone(images, moments))
        colour = None
        if moments is not None:
            mean, variance = moments
            # Mean and spread of each channel of the raw image, about centred and scaled, (B, 6).
            colour = torch.cat([(mean - 0.45) * 4, (variance.sqrt() - 0.2) * 8], dim=1)
        features, routing = self.moe(fine, colour)
        logits = self.head(features)
        auxiliary: tuple[Tensor, ...] = ()
        if self.training:
            levels = zip(self.aux_heads, self.pyramid.smooth, coarse, strict=True)
            auxiliary = tuple(head(smooth(level).relu()) for head, smooth, level in levels)
        return ModelOutput(
            predictions=F.interpolate(logits, size=images.shape[-2:], mode="bilinear", align_corners=False),
            aux_outputs=auxiliary,
            routing=() if routing is None else (routing,),
            embeddings=features,
        )


class _TopDownPyramid(nn.Module):
    """Adds each coarser map to the finer one; `smooth` is for what an auxiliary head reads, unlike torchvision's, which
    would leave the coarsest convolution without a gradient.
    """

    def __init__(self, channels: tuple[int, ...], width: int):
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(before, width, 1) for before in channels)
        self.smooth = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(2))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps at strides 4 to 32 -> maps of equal width at strides 4, 8 and 16, not smoothed."""
        level = self.lateral[-1](maps[-1])
        levels: list[Tensor] = []
        for lateral, finer in zip(self.lateral[-2::-1], maps[-2::-1], strict=True):
            level = lateral(finer) + F.interpolate(level, size=finer.shape[-2:], mode="nearest")
            levels.insert(0, level)
        return levels


class _Head(nn.Conv2d):
    """The 3x3 convolution to one channel, as nine products a pixel that are added where they belong.

    On a CPU the convolution itself takes twice as long: a single channel leaves most of a register empty.
    """

    bias: nn.Parameter

    def __init__(self, width: int):
        super().__init__(width, 1, 3, padding=1)
        nn.init.constant_(self.bias, RARE_FOREGROUND_LOGIT)

    def forward(self, features: Tensor) -> Tensor:
        products = self.weight[0].flatten(1).T.flip(0) @ features.flatten(2)
        return F.fold(products, features.shape[2:], kernel_size=3, padding=1) + self.bias
