"""Image classifier: a backbone, the mean of its coarsest map, dropout, and one linear layer to the classes.

Sources: Lin et al., Network In Network, 2013, https://arxiv.org/abs/1312.4400 (the mean over the map);
    Srivastava et al., Dropout, 2014, https://jmlr.org/papers/v15/srivastava14a.html;
    Huang et al., Deep Networks with Stochastic Depth, 2016, https://arxiv.org/abs/1603.09382 (drop_path).
"""

from dataclasses import dataclass

from torch import Tensor, nn

from trainable.fields import unknown_name
from trainable.models.backbones import BACKBONES, WITH_DROP_PATH, WITHOUT_BATCH_NORM, build_backbone
from trainable.models.output import ModelOutput

MIN_SIDE_PX = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierConfig:
    """What the network is made of."""

    class_names: tuple[str, ...]
    """The classes in the order of their labels, two or more; set from the opened data."""
    backbone: str = "small"
    """One of BACKBONES; "small" trains from scratch on a CPU."""
    weights: str = "scratch"
    """"scratch", "imagenet", or the path of a state dict file."""
    freeze_batch_norm: bool = False
    """Keep the running statistics of pre-trained weights; sensible below about 8 images a batch."""
    dropout: float = 0.0
    """Share of the features that is zeroed before the last layer while training, in [0, 1)."""
    drop_path: float = 0.0
    """Chance that the deepest residual branch is skipped while training, in [0, 1); of efficientnet and convnext."""

    def __post_init__(self) -> None:
        if len(self.class_names) < 2 or len(set(self.class_names)) < len(self.class_names):
            raise ValueError(f"class_names is {self.class_names}; give two or more, all different.")
        if self.backbone not in BACKBONES:
            raise ValueError(unknown_name("backbone", self.backbone, BACKBONES))
        if (self.backbone, self.weights) == ("small", "imagenet"):
            raise ValueError("The small backbone has no ImageNet weights; set weights to scratch or a file's path.")
        for name in ("dropout", "drop_path"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must lie in [0, 1).")
        if self.drop_path and self.backbone not in WITH_DROP_PATH:
            raise ValueError(
                f"drop_path is {self.drop_path}, but {self.backbone} has none; set it to 0, or take one of "
                f"{', '.join(WITH_DROP_PATH)}."
            )
        if self.freeze_batch_norm and (self.weights == "scratch" or self.backbone in WITHOUT_BATCH_NORM):
            raise ValueError(
                f"freeze_batch_norm needs pre-trained BatchNorm layers, and {self.backbone} with weights "
                f"{self.weights} has none; turn it off."
            )


class Classifier(nn.Module):
    """Images (B, 3, H, W) in [0, 1], any H and W from 32, to logits (B, K); embeddings are the features (B, D)."""

    def __init__(self, config: ClassifierConfig):
        super().__init__()
        self.config = config
        self.backbone = build_backbone(
            config.backbone,
            config.weights,
            freeze_batch_norm=config.freeze_batch_norm,
            drop_path=config.drop_path,
        )
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(self.backbone.channels[-1], len(config.class_names))

    def forward(self, images: Tensor) -> ModelOutput:
        if min(images.shape[-2:]) < MIN_SIDE_PX:
            raise ValueError(f"Images of {tuple(images.shape[-2:])} px; the network needs {MIN_SIDE_PX} px or more.")
        features = self.backbone(images)[-1].mean(dim=(2, 3))
        return ModelOutput(predictions=self.head(self.dropout(features)), embeddings=features)

    def enable_gradient_checkpointing(self) -> None:
        """Keeps only the maps between backbone stages and computes the rest again in the backward pass."""
        self.backbone.checkpointing = True
