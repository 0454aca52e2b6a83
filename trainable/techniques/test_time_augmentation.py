"""Test-time augmentation: probabilities averaged over several views of an image, of its class or of each pixel.

What: probabilities are averaged, not logits, and come back as logits of the average, so that a softmax or sigmoid gives
them again and a cross-entropy of them is that of the average. Classes: mirrored views and crops at the corners. Masks:
mirrored and resized views, each turned back before it is averaged. Meant for a final test and for predictions: a
search's rungs compare single views, which cost a fraction.
Source: Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks", NeurIPS 2012,
https://doi.org/10.1145/3065386 (ten views, averaged); Shanmugam et al., "Better Aggregation in Test-Time Augmentation",
ICCV 2021, https://arxiv.org/abs/2011.11156; Chen et al., "Rethinking Atrous Convolution for Semantic Image
Segmentation", 2017, https://arxiv.org/abs/1706.05587 (masks over scales and mirrored).
Cost: one forward pass for each view. Off: `test_time_augmentation=None`.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from trainable.models.output import ModelOutput
from trainable.supervision.base import EvaluatedBatch, Forward, Losses, Supervision, resize_logits

ViewAveraging = Callable[[Forward], Forward]
"""Wraps a network into one that averages several views."""
_CORNERS = (("top", "left"), ("top", "right"), ("bottom", "left"), ("bottom", "right"))
_SCALES = (0.25, 4.0)


def single_view(forward: Forward) -> Forward:
    """Averages nothing: a single view."""
    return forward


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassViewsConfig:
    """Views that are averaged to classify an image."""

    tta_flips: bool = True
    """Every view is taken mirrored too."""
    tta_crop_share: float | None = 0.9
    """Side of the four crops at the corners, relative to the image's, in [0.5, 1); None takes the whole image alone."""

    def __post_init__(self) -> None:
        if self.tta_crop_share is not None and not 0.5 <= self.tta_crop_share < 1:
            raise ValueError(f"tta_crop_share is {self.tta_crop_share}; it must lie in [0.5, 1), or be None for none.")
        if not self.tta_flips and self.tta_crop_share is None:
            raise ValueError("tta_flips and tta_crop_share are both off; set test_time_augmentation=None instead.")

    def average_views(self, forward: Forward, *, num_classes: Sequence[int] | None = None) -> Forward:
        """Logits are float32 log-probabilities; `num_classes` are those of tasks side by side, each averaged alone."""

        def average(images: Tensor) -> ModelOutput:
            outputs = [forward(view) for view in views(images, self)]
            sizes = list(num_classes or outputs[0].predictions.shape[1:])
            tasks = zip(*(output.predictions.split(sizes, dim=1) for output in outputs), strict=True)
            means = []
            for logits in tasks:
                log_probabilities = torch.stack([one.float().log_softmax(dim=1) for one in logits])
                means.append(log_probabilities.logsumexp(dim=0) - math.log(len(logits)))
            return replace(outputs[0], predictions=torch.cat(means, dim=1))

        return average


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskViewsConfig:
    """Views that are averaged to segment an image."""

    tta_flips: bool = True
    """Every view is taken mirrored too, and its mask mirrored back."""
    tta_scales: tuple[float, ...] = (1.0,)
    """Sizes of the views relative to the image's, each from 0.25 to 4; (0.75, 1.0, 1.25) with flips is usual."""

    def __post_init__(self) -> None:
        low, high = _SCALES
        if not self.tta_scales or not all(low <= scale <= high for scale in self.tta_scales):
            raise ValueError(f"tta_scales is {self.tta_scales}; give one or more numbers from {low:g} to {high:g}.")
        if not self.tta_flips and self.tta_scales == (1.0,):
            raise ValueError("tta_flips is off and tta_scales (1.0,); set test_time_augmentation=None instead.")

    def sizes_px(self, size_px: tuple[int, int]) -> list[tuple[int, int]]:
        """Height and width of the view at each scale, for images of this height and width."""
        height, width = size_px
        return [(round(scale * height), round(scale * width)) for scale in self.tta_scales]

    def average_views(self, forward: Forward) -> Forward:
        """Logits [B, 1, H, W] of the mean probability of each pixel; all else is that of the first view."""

        def average(images: Tensor) -> ModelOutput:
            size, outputs, logits = (images.shape[-2], images.shape[-1]), [], []
            for scaled_size in self.sizes_px(size):
                scaled = images
                if scaled_size != size:
                    scaled = F.interpolate(images, scaled_size, mode="bilinear", antialias=True, align_corners=False)
                outputs.append(forward(scaled))
                logits.append(resize_logits(outputs[-1].predictions.float(), size))
                if self.tta_flips:
                    mirrored = forward(scaled.flip(-1)).predictions.float()
                    logits.append(resize_logits(mirrored.flip(-1), size))
            # The logit of the mean of the sigmoids; exact also where a sigmoid rounds to 1.
            views = torch.stack(logits)
            mean = F.logsigmoid(views).logsumexp(dim=0) - F.logsigmoid(-views).logsumexp(dim=0)
            return replace(outputs[0], predictions=mean)

        return average


def views(images: Tensor, config: ClassViewsConfig) -> Iterator[Tensor]:
    """The images [B, 3, H, W] themselves first, then their crops stretched back, each mirrored after itself."""
    share = config.tta_crop_share
    for view in (images, *([] if share is None else (_corner(images, share, corner) for corner in _CORNERS))):
        yield view
        if config.tta_flips:
            yield view.flip(-1)


class AveragedViews(Supervision):
    """Evaluates a network by the average of several views; does not train."""

    def __init__(self, supervision: Supervision, average_views: ViewAveraging) -> None:
        super().__init__()
        self.supervision = supervision
        self.average_views = average_views

    def losses(self, forward: Forward, images: Any, targets: Any) -> Losses:
        return self.supervision.losses(forward, images, targets)

    def evaluate(self, forward: Forward, images: Tensor, targets: Any) -> EvaluatedBatch:
        return self.supervision.evaluate(self.average_views(forward), images, targets)


def _corner(images: Tensor, share: float, corner: tuple[str, str]) -> Tensor:
    height, width = images.shape[-2:]
    kept_height, kept_width = round(share * height), round(share * width)
    top = height - kept_height if "bottom" in corner else 0
    left = width - kept_width if "right" in corner else 0
    part = images[..., top : top + kept_height, left : left + kept_width]
    return F.interpolate(part, size=(height, width), mode="bilinear", align_corners=False)
