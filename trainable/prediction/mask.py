"""The mask of the object on a picture, as the probability of each pixel."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trainable.data.io.decoding import shrink_image
from trainable.prediction.base import Prediction, Predictor, Progress, network_output
from trainable.prediction.drawing import draw_masks
from trainable.supervision.base import Forward, resize_logits
from trainable.techniques.test_time_augmentation import ViewAveraging, single_view

THRESHOLD = 0.5
"""Pixels with at least this probability are drawn and counted as object."""


@dataclass(frozen=True, slots=True)
class MaskPrediction(Prediction):
    """Probabilities of the object, float (H, W) in the picture's own size."""

    folder: ClassVar = "masks"
    ending: ClassVar = ".png"

    probabilities: np.ndarray

    @property
    def object_share(self) -> float:
        return float((self.probabilities >= THRESHOLD).mean())

    def in_words(self) -> str:
        return f"object on {100 * self.object_share:.1f} % of the picture"

    def row(self) -> dict[str, str | int | float]:
        height, width = self.probabilities.shape
        return {"height_px": height, "width_px": width, "object_share": round(self.object_share, 6)}

    def write(self, path: Path) -> None:
        """Writes grey levels from 0 to 255 for probabilities from 0 to 1."""
        Image.fromarray((self.probabilities * 255).round().astype(np.uint8)).save(path)

    def draw(self, picture: Tensor) -> Tensor:
        mask = torch.from_numpy(self.probabilities >= THRESHOLD)[None]
        return draw_masks(picture, mask, [0])


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskPredictor(Predictor):
    """Predictor for networks with one logit per pixel."""

    kind: ClassVar = MaskPrediction

    trained_size_px: tuple[int, int]
    """(height, width) of the images in training."""
    average_views: ViewAveraging = single_view

    def __call__(self, forward: Forward, picture: Image.Image, on_progress: Progress | None = None) -> MaskPrediction:
        output = network_output(self.average_views(forward), shrink_image(picture, self.trained_size_px))
        logits = resize_logits(output.predictions.float(), picture.size[::-1])
        return MaskPrediction(logits[0, 0].sigmoid().cpu().numpy())
