"""A backbone with a projector, for contrastive pre-training; exported weights of it start other networks on it.

Source: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations" (SimCLR), ICML 2020,
https://arxiv.org/abs/2002.05709 (the projector, which is thrown away afterwards).
"""

from dataclasses import dataclass

from torch import Tensor, nn

from trainable.models.backbone_config import BackboneConfig, PooledBackboneNetwork
from trainable.models.output import ModelOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastiveNetConfig(BackboneConfig):
    """The network of a pre-training."""

    projection_channels: int = 128
    """Size of the vectors that are compared, 2 or more."""

    def __post_init__(self) -> None:
        BackboneConfig.__post_init__(self)
        self.refuse_network("moe_pretrain")
        if self.projection_channels < 2:
            raise ValueError(f"projection_channels is {self.projection_channels}; it must be 2 or more.")


class ContrastiveNet(PooledBackboneNetwork):
    """Images (B, 3, H, W) in [0, 1] to vectors (B, P) for comparing; embeddings are the backbone's features (B, D)."""

    def __init__(self, config: ContrastiveNetConfig) -> None:
        super().__init__()
        self.backbone = config.build_backbone()
        self.head = projection_head(self.backbone.channels[-1], config.projection_channels)

    def forward(self, images: Tensor) -> ModelOutput:
        """Raises ValueError when a side is below 32 px."""
        features = self.features(images)
        return ModelOutput(predictions=self.head(features), embeddings=features)


def projection_head(width: int, projection_channels: int) -> nn.Sequential:
    """Features (B, width) to vectors (B, projection_channels)."""
    # Features may be nearly alike for all images at first; the batch's spread separates them.
    return nn.Sequential(
        nn.BatchNorm1d(width),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, projection_channels),
        nn.BatchNorm1d(projection_channels, affine=False),
    )
