"""Test-time augmentation: a classifier's probabilities, averaged over mirrored and cropped looks at an image.

What: probabilities are averaged, not logits, and come back as their logarithms, so that a softmax gives them again and
a cross-entropy of them is that of the average. Meant for a final test: a search's rungs compare single looks, which
cost a fraction.
Source: Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks", NeurIPS 2012,
https://doi.org/10.1145/3065386 (ten looks, averaged); Shanmugam et al., "Better Aggregation in Test-Time Augmentation",
ICCV 2021, https://arxiv.org/abs/2011.11156.
Cost: one forward pass for each look. Off: `test_time_augmentation=None`.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from trainable.models.output import ModelOutput
from trainable.supervision.base import Forward, Judged, Losses, Supervision

_CORNERS = (("top", "left"), ("top", "right"), ("bottom", "left"), ("bottom", "right"))


@dataclass(frozen=True, slots=True, kw_only=True)
class AveragedLooksConfig:
    """Which looks are averaged."""

    tta_flips: bool = True
    """Every look is taken mirrored too."""
    tta_crop_share: float | None = 0.9
    """Side of the four crops at the corners, relative to the image's, in [0.5, 1); None takes the whole image alone."""

    def __post_init__(self) -> None:
        if self.tta_crop_share is not None and not 0.5 <= self.tta_crop_share < 1:
            raise ValueError(f"tta_crop_share is {self.tta_crop_share}; it must lie in [0.5, 1), or be None for none.")
        if not self.tta_flips and self.tta_crop_share is None:
            raise ValueError("tta_flips and tta_crop_share are both off; set test_time_augmentation=None instead.")


def looks(images: Tensor, config: AveragedLooksConfig) -> Iterator[Tensor]:
    """The images [B, 3, H, W] themselves first, then their crops stretched back, each mirrored after itself."""
    share = config.tta_crop_share
    for look in (images, *([] if share is None else (_corner(images, share, corner) for corner in _CORNERS))):
        yield look
        if config.tta_flips:
            yield look.flip(-1)


def log_mean_probabilities(logits: Sequence[Tensor]) -> Tensor:
    """Logarithm of the mean of the softmaxes of several logits [B, K], in float32."""
    return torch.stack([one.float().log_softmax(dim=1) for one in logits]).logsumexp(dim=0) - math.log(len(logits))


class AveragedLooks(Supervision):
    """Judges a classifier by the average of several looks; does not train."""

    def __init__(self, supervision: Supervision, config: AveragedLooksConfig) -> None:
        super().__init__()
        self.supervision = supervision
        self.config = config

    def losses(self, forward: Forward, images: Any, targets: Any) -> Losses:
        return self.supervision.losses(forward, images, targets)

    def judged(self, forward: Forward, images: Tensor, targets: Any) -> Judged:
        return self.supervision.judged(lambda whole: self._averaged(forward, whole), images, targets)

    def _averaged(self, forward: Forward, images: Tensor) -> ModelOutput:
        first, *others = (forward(look) for look in looks(images, self.config))
        logits = [first.predictions, *(output.predictions for output in others)]
        return replace(first, predictions=log_mean_probabilities(logits))


def _corner(images: Tensor, share: float, corner: tuple[str, str]) -> Tensor:
    height, width = images.shape[-2:]
    kept_height, kept_width = round(share * height), round(share * width)
    top = height - kept_height if "bottom" in corner else 0
    left = width - kept_width if "right" in corner else 0
    part = images[..., top : top + kept_height, left : left + kept_width]
    return F.interpolate(part, size=(height, width), mode="bilinear", align_corners=False)
