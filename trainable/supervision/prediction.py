"""Predictions of a trained network for one image, prepared like its evaluation images."""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from trainable.data.classes.folder import RESIZES
from trainable.data.io.decoding import shrink_image
from trainable.data.io.pixels import as_images
from trainable.models.output import as_model_output
from trainable.supervision.base import resized


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassPredictor:
    """The probability of each class, the most likely first."""

    class_names: tuple[str, ...]
    image_size_px: int
    resize: str

    def __call__(self, model: nn.Module, picture: Image.Image) -> dict[str, float]:
        logits = _logits(model, RESIZES[self.resize](picture, (self.image_size_px,) * 2))
        shares = dict(zip(self.class_names, logits[0].softmax(dim=0).tolist(), strict=True))
        return dict(sorted(shares.items(), key=lambda item: -item[1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskPredictor:
    """Probability of the object per pixel, 0 to 255: uint8 in the image's own height and width."""

    trained_size_px: tuple[int, int]
    """(height, width) of the images in training."""

    def __call__(self, model: nn.Module, picture: Image.Image) -> np.ndarray:
        logits = _logits(model, shrink_image(picture, self.trained_size_px))
        shares = resized(logits.float(), picture.size[::-1])[0, 0].sigmoid()
        return (shares * 255).round().byte().numpy()


Predictor = ClassPredictor | MaskPredictor


@torch.no_grad()
def _logits(model: nn.Module, pixels: np.ndarray) -> Tensor:
    """Of pixels (H, W, 3), the batch dimension kept."""
    return as_model_output(model(as_images(torch.tensor(pixels)[None]))).predictions
