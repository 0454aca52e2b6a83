"""A network of your own in a workload: the class is the file's, data, loss, metrics and search are the workload's.

    python -m tuner.search --space dishes --set network=examples/own_network.py:Pyramid --set network.width=24
    python -m trainable.preset moe default runs/own/config.json --set network=examples/own_network.py:MaskNet

A class of `dishes`, `leaf` and `retina` returns logits (B, K), one of `moe` logits (B, 1, H, W). Images come as
(B, 3, H, W) in [0, 1]. A constructor that takes `num_classes` gets K.
"""

from torch import Tensor, nn
from torch.nn import functional as F


def _layers(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, width, 3, stride=2, padding=1),
        nn.GroupNorm(4, width),
        nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
        nn.GroupNorm(4, 2 * width),
        nn.ReLU(),
    )


class Pyramid(nn.Module):
    """Images to logits (B, K)."""

    def __init__(self, num_classes: int, width: int = 16, dropout: float = 0.1) -> None:
        super().__init__()
        self.layers = _layers(width)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * width, num_classes))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.layers(images).mean(dim=(2, 3)))


class MaskNet(nn.Module):
    """Images to the logits of masks (B, 1, H, W)."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.layers = _layers(width)
        self.head = nn.Conv2d(2 * width, 1, 1)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        logits = self.head(self.layers(images))
        return {"predictions": F.interpolate(logits, size=images.shape[-2:], mode="bilinear", align_corners=False)}
