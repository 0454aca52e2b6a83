"""A network of segmentation_models_pytorch in the workload `moe`.

pip install segmentation-models-pytorch
python -m tuner.search --space moe --set network=examples/segmentation_models.py:unet --set network.encoder=resnet18
"""

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn
from torch.nn import functional as F

MULTIPLE_PX = 32
"""Its encoders take images whose sides are multiples of this."""


class Padded(nn.Module):
    """Images (B, 3, H, W) in [0, 1] of any size to logits (B, 1, H, W)."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1))
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        padded = F.pad(
            (images - self.mean) / self.deviation, (0, -width % MULTIPLE_PX, 0, -height % MULTIPLE_PX), mode="replicate"
        )
        return self.network(padded)[..., :height, :width]


def unet(encoder: str = "resnet18", encoder_weights: str | None = None) -> nn.Module:
    """`encoder_weights` such as "imagenet" are downloaded."""
    return Padded(smp.Unet(encoder, encoder_weights=encoder_weights, classes=1))
