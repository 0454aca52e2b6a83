"""The two networks around one encoder: a projector for pre-training, and a classifier that is fine-tuned from it.

Both call the encoder `backbone`, so that the exported weights of one start the other.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from trainable.models.backbone_config import BackboneNetwork
from trainable.models.backbones.backbone import Backbone
from trainable.models.backbones.registry import build_backbone
from trainable.models.contrastive_net import projection_head
from trainable.models.hierarchical_vit import EncoderConfig, HierarchicalEncoder
from trainable.models.output import ModelOutput
from trainable.models.spectral_attention import SpectralAttention


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectorConfig(EncoderConfig):
    """The network of a pre-training."""

    projection_channels: int = 128
    """Size of the vectors that are compared, 2 or more; the head is thrown away afterwards."""

    def __post_init__(self) -> None:
        EncoderConfig.__post_init__(self)
        self.refuse_network("leaf_pretrain")
        if self.projection_channels < 2:
            raise ValueError(f"projection_channels is {self.projection_channels}; it must be 2 or more.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafClassifierConfig(EncoderConfig):
    """The network of a fine-tuning."""

    class_names: tuple[str, ...]
    """The classes in the order of their labels, two or more; set from the opened data."""
    spectral_attention: bool = False
    """The disease-focused cross-attention from the image's tokens to its colour spectrum."""

    def __post_init__(self) -> None:
        EncoderConfig.__post_init__(self)
        if len(self.class_names) < 2 or len(set(self.class_names)) < len(self.class_names):
            raise ValueError(f"class_names is {self.class_names}; give two or more, all different.")


class _EncoderNetwork(BackboneNetwork):
    """A network around the encoder of a configuration, or around the backbone that it names in its place.

    Raises:
        ValueError: the weights cannot be loaded, or do not fit.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        if config.backbone is None:
            self.backbone = HierarchicalEncoder(config)
        else:
            freeze = bool(config.freeze_batch_norm)
            self.backbone = build_backbone(
                config.backbone, config.weights, freeze_batch_norm=freeze, drop_path=config.drop_path
            )

    def tokens(self, images: Tensor) -> Tensor:
        """Tokens (B, h, w, D) of images (B, 3, H, W) in [0, 1]; a backbone's are its coarsest map."""
        found = self.backbone(images)
        return found[-1].permute(0, 2, 3, 1) if isinstance(self.backbone, Backbone) else found

    def features(self, images: Tensor) -> Tensor:
        """Features of the encoder, before any attention to the spectrum, (B, D)."""
        return self.tokens(images).mean(dim=(1, 2))


class Projector(_EncoderNetwork):
    """Images (B, 3, H, W) in [0, 1] to vectors (B, P) for comparing; embeddings are the encoder's features (B, D)."""

    def __init__(self, config: ProjectorConfig) -> None:
        super().__init__(config)
        self.head = projection_head(self.backbone.num_features, config.projection_channels)

    def forward(self, images: Tensor) -> ModelOutput:
        features = self.features(images)
        return ModelOutput(predictions=self.head(features), embeddings=features)


class LeafClassifier(_EncoderNetwork):
    """Images (B, 3, H, W) in [0, 1], any H and W that the encoder takes, to logits (B, K); embeddings are its features
    (B, D), after the attention where there is one.
    """

    def __init__(self, config: LeafClassifierConfig) -> None:
        super().__init__(config)
        self.spectral_attention: SpectralAttention | None = None
        if config.spectral_attention:
            self.spectral_attention = SpectralAttention(
                self.backbone.num_features,
                num_heads=self.backbone.num_heads,
                stride_px=self.backbone.stride_px,
            )
        self.head = nn.Linear(self.backbone.num_features, len(config.class_names))

    def forward(self, images: Tensor) -> ModelOutput:
        tokens = self.tokens(images)
        if self.spectral_attention is not None:
            tokens = self.spectral_attention(tokens, images)
        features = tokens.mean(dim=(1, 2))
        return ModelOutput(predictions=self.head(features), embeddings=features)
