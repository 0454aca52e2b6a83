"""Metrics of a decision against a mask, each from four pixel counts: E-measure, F-measure, IoU and Dice.

Source: Fan et al., Enhanced-alignment Measure for Binary Foreground Map Evaluation, IJCAI 2018,
https://arxiv.org/abs/1805.10421; Achanta et al., Frequency-tuned Salient Region Detection, CVPR 2009,
https://doi.org/10.1109/CVPR.2009.5206596 (F with beta squared 0.3).
Cost: arithmetic on four numbers per image and threshold.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

_BETA_SQUARED = 0.3
_EPS = torch.finfo(torch.float64).eps


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """Pixels by decision and truth, float64; shape (B, T) for T thresholds, or (B,) for one."""

    true_positive: Tensor
    false_positive: Tensor
    false_negative: Tensor
    true_negative: Tensor

    @property
    def objects(self) -> Tensor:
        return self.true_positive + self.false_negative

    @property
    def chosen(self) -> Tensor:
        return self.true_positive + self.false_positive

    @property
    def pixels(self) -> Tensor:
        return self.chosen + self.false_negative + self.true_negative


def e_measure(confusion: Confusion) -> Tensor:
    """The E-measure, in the shape of the counts.

    An empty mask scores the share of pixels not chosen, a full one the share of pixels chosen. The divisor is one
    less than the image's pixels, as in the source, so a perfect decision scores a little above 1.
    """
    objects, chosen, pixels = confusion.objects, confusion.chosen, confusion.pixels
    decision, truth = chosen / pixels, objects / pixels
    # All four kinds of pixels at once: on a few hundred numbers the call itself is the cost.
    chosen_or_not, object_or_not = torch.stack([1 - decision, -decision]), torch.stack([1 - truth, -truth])
    counts = torch.stack(
        [confusion.true_positive, confusion.false_positive, confusion.false_negative, confusion.true_negative]
    )
    centred, true = chosen_or_not[:, None], object_or_not[None]
    agreement = 2 * centred * true / (centred.square() + true.square() + _EPS)
    aligned = (counts * ((agreement + 1).square() / 4).flatten(0, 1)).sum(0)
    aligned = torch.where(objects == 0, pixels - chosen, torch.where(objects == pixels, chosen, aligned))
    return aligned / (pixels - 1).clamp(min=1)


def f_measure(confusion: Confusion) -> Tensor:
    """The F-measure with beta squared 0.3, in the shape of the counts; 0 without a true positive."""
    weighed = _BETA_SQUARED * confusion.objects + confusion.chosen
    return (1 + _BETA_SQUARED) * confusion.true_positive / weighed.clamp(min=_BETA_SQUARED)


def iou(confusion: Confusion) -> Tensor:
    """Intersection over union, in the shape of the counts; 1 where mask and decision are both empty."""
    union = confusion.chosen + confusion.false_negative
    return torch.where(union == 0, 1.0, confusion.true_positive / union.clamp(min=1))


def dice(confusion: Confusion) -> Tensor:
    """Dice coefficient, in the shape of the counts; 1 where mask and decision are both empty."""
    overlap = iou(confusion)
    return 2 * overlap / (1 + overlap)
