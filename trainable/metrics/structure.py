"""S-measure: how well a prediction keeps the structure of a mask.

What: the mean of an object score (is the object bright and even, the background dark and even) and a region score
(structural similarity in the four quadrants around the mask's centroid).
Source: Fan et al., Structure-measure: A New Way to Evaluate Foreground Maps, ICCV 2017,
https://arxiv.org/abs/1708.00786.
Cost: arithmetic on 24 sums per image.
"""

import torch
from torch import Tensor

from trainable.metrics.level_histogram import LevelHistogram

_EPS = torch.finfo(torch.float64).eps


def s_measure(histogram: LevelHistogram) -> Tensor:
    """The S-measure of each image, shape (B,), in [0, 1].

    An empty mask scores one minus the mean prediction, a full one the mean prediction. A quadrant without pixels has
    no weight. Whether a quadrant is constant is decided on whole steps, so that rounding cannot change its score.
    """
    # Pixels, sum of steps and sum of squared steps by quadrant and mask value, (B, 4, 2, 3); all whole numbers.
    powers = torch.stack([torch.ones_like(histogram.steps), histogram.steps, histogram.steps.square()], dim=1)
    sums = (histogram.counts.flatten(1, 2) @ powers.mT).view(-1, 4, 2, 3)
    pixels, steps, _ = sums.sum((1, 2)).unbind(1)
    unit = histogram.steps_per_unit.squeeze(1)
    coverage = sums[:, :, 1, 0].sum(1) / pixels
    mean = steps / pixels / unit
    structure = 0.5 * _object_score(sums.sum(1), unit, coverage) + 0.5 * _region_score(sums, unit)
    return torch.where(coverage == 0, 1 - mean, torch.where(coverage == 1, mean, structure.clamp(min=0)))


def _object_score(sums: Tensor, unit: Tensor, coverage: Tensor) -> Tensor:
    pixels, steps, squares = sums.unbind(2)
    background, inside = (steps / pixels.clamp(min=1) / unit[:, None]).unbind(1)
    deviation = _covariance(pixels, steps, steps, squares).sqrt() / unit[:, None]
    mean = torch.stack([1 - background, inside], dim=1)
    evenness = 2 * mean / (mean.square() + 1 + deviation + _EPS)
    return (evenness * torch.stack([1 - coverage, coverage], dim=1)).sum(1)


def _region_score(sums: Tensor, unit: Tensor) -> Tensor:
    pixels, steps, squares = sums.sum(2).unbind(2)
    objects, steps_inside = sums[:, :, 1, 0], sums[:, :, 1, 1]
    unit = unit[:, None]
    mean_x, mean_y = steps / pixels.clamp(min=1) / unit, objects / pixels.clamp(min=1)
    variance_x = _covariance(pixels, steps, steps, squares) / unit.square()
    variance_y = _covariance(pixels, objects, objects, objects)
    covariance = _covariance(pixels, steps, objects, steps_inside) / unit
    agreement = 4 * mean_x * mean_y * covariance
    extent = (mean_x.square() + mean_y.square()) * (variance_x + variance_y)
    similarity = torch.where(agreement != 0, agreement / (extent + _EPS), (extent == 0).double())
    return (similarity * pixels).sum(1) / pixels.sum(1)


def _covariance(pixels: Tensor, sum_x: Tensor, sum_y: Tensor, sum_xy: Tensor) -> Tensor:
    """Unbiased covariance from sums of whole numbers: exactly zero where x or y is constant, and for a single pixel."""
    return (pixels * sum_xy - sum_x * sum_y) / (pixels * (pixels - 1)).clamp(min=1)
