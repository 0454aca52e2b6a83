"""Image classifier: a backbone, the mean of its coarsest map, dropout, and one linear layer to the classes.

Sources: Lin et al., Network In Network, 2013, https://arxiv.org/abs/1312.4400 (the mean over the map);
    Srivastava et al., Dropout, 2014, https://jmlr.org/papers/v15/srivastava14a.html;
    Huang et al., Deep Networks with Stochastic Depth, 2016, https://arxiv.org/abs/1603.09382 (drop_path).
"""

from dataclasses import dataclass

from torch import Tensor, nn

from trainable.models.backbone_config import BackboneConfig, PooledBackboneNetwork
from trainable.models.backbones.registry import WITH_DROP_PATH, has_drop_path
from trainable.models.output import ModelOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierConfig(BackboneConfig):
    """Architecture of the network."""

    class_names: tuple[str, ...]
    """The classes in the order of their labels, two or more; set from the opened data."""
    dropout: float = 0.0
    """Share of the features that is zeroed before the last layer while training, in [0, 1)."""
    drop_path: float = 0.0
    """Chance that the deepest residual branch is skipped while training, in [0, 1); of efficientnet and convnext."""

    def __post_init__(self) -> None:
        BackboneConfig.__post_init__(self)
        if len(self.class_names) < 2 or len(set(self.class_names)) < len(self.class_names):
            raise ValueError(f"class_names is {self.class_names}; give two or more, all different.")
        for name in ("dropout", "drop_path"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must lie in [0, 1).")
        if self.drop_path and not has_drop_path(self.backbone):
            raise ValueError(
                f"drop_path is {self.drop_path}, but {self.backbone} has none; set it to 0, or take one of "
                f"{', '.join(WITH_DROP_PATH)}."
            )


class Classifier(PooledBackboneNetwork):
    """Images (B, 3, H, W) in [0, 1], any H and W from 32, to logits (B, K); embeddings are the features (B, D)."""

    def __init__(self, config: ClassifierConfig):
        super().__init__()
        self.config = config
        self.backbone = config.build_backbone(drop_path=config.drop_path)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(self.backbone.channels[-1], len(config.class_names))

    def forward(self, images: Tensor) -> ModelOutput:
        """Raises ValueError when a side is below 32 px."""
        features = self.features(images)
        return ModelOutput(predictions=self.head(self.dropout(features)), embeddings=features)

    def last_shared_weights(self) -> nn.Parameter:
        """Weights of the last layer before the head, which all tasks share."""
        return [parameter for parameter in self.backbone.parameters() if parameter.dim() > 1][-1]
