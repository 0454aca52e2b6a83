"""Losses of a segmentation head for objects that are rare, thin or missing in many images.

What: as the losses of `segmentation.py`, of logits and masks (B, 1, h, w), the mean over images of a per-image loss.
    focal        = sum over both sides y of weight_y (1 - p_y)^gamma (-log p_y), the mean over pixels, where p_y is the
                   probability of the right side: pixels that are already right count little;
    Tversky      = 1 - TP / (TP + (1 - beta) FP + beta FN) of the soft counts: a missed pixel costs beta, a false one
                   1 - beta; beta 0.5 is Dice;
    balanced BCE = half the mean cross-entropy over the object plus half the mean over the background.
On an image without an object focal and balanced BCE are means over its background, so they teach to predict nothing;
Tversky is near 1 for any sum of probabilities of several pixels, and teaches little.
Sources: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, https://arxiv.org/abs/1708.02002 (gamma 2,
    alpha 0.25); Salehi et al., Tversky Loss Function for Image Segmentation, MLMI 2017,
    https://arxiv.org/abs/1706.05721 (beta 0.7); Xie and Tu, Holistically-Nested Edge Detection, ICCV 2015,
    https://arxiv.org/abs/1504.06375 (balanced cross-entropy, here per image and as a mean).
Cost: a few passes over the logits. Off: another `criterion`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from trainable.losses.segmentation import PER_IMAGE, as_matching_float32, boundary_weights

FOCAL_GAMMA, FOCAL_ALPHA, TVERSKY_BETA = 2.0, 0.25, 0.7
_TINY = torch.finfo(torch.float32).tiny
_SMOOTHING = 0.5
"""Smoothing of both counts, in pixels; with beta 0.5 the same as 1 in the Dice loss."""


def focal_loss(
    logits: Tensor,
    masks: Tensor,
    *,
    gamma: float = FOCAL_GAMMA,
    alpha: float = FOCAL_ALPHA,
    boundary_emphasis: float = 0.0,
) -> Tensor:
    """The focal loss; `alpha` weighs the object, 1 - `alpha` the background."""
    logits, masks = as_matching_float32(logits, masks)
    # -log p and -log(1 - p): powers of p itself have no gradient where it is rounded to 0 or 1.
    entropy_on, entropy_off = F.softplus(-logits), F.softplus(logits)
    missed = alpha * (-gamma * entropy_off).exp() * entropy_on
    false = (1 - alpha) * (-gamma * entropy_on).exp() * entropy_off
    weights = _pixel_weights(masks, boundary_emphasis)
    per_pixel = weights * (masks * missed + (1 - masks) * false)
    return (per_pixel.sum(PER_IMAGE) / weights.sum(PER_IMAGE)).mean()


def tversky_loss(
    logits: Tensor, masks: Tensor, *, beta: float = TVERSKY_BETA, boundary_emphasis: float = 0.0
) -> Tensor:
    """One minus the Tversky index of each image; the overlap with a soft mask is the minimum of both, as in Dice."""
    logits, masks = as_matching_float32(logits, masks)
    probabilities, weights = logits.sigmoid(), _pixel_weights(masks, boundary_emphasis)
    overlaps = weights * torch.minimum(probabilities, masks)
    both = overlaps.sum(PER_IMAGE)
    false = (weights * probabilities - overlaps).sum(PER_IMAGE)
    missed = (weights * masks - overlaps).sum(PER_IMAGE)
    return (1 - (both + _SMOOTHING) / (both + (1 - beta) * false + beta * missed + _SMOOTHING)).mean()


def balanced_bce_loss(logits: Tensor, masks: Tensor, *, boundary_emphasis: float = 0.0) -> Tensor:
    """Cross-entropy in which object and background weigh the same; an image with one of them counts that alone."""
    logits, masks = as_matching_float32(logits, masks)
    weights = _pixel_weights(masks, boundary_emphasis)
    sides = [(weights * masks, F.softplus(-logits)), (weights * (1 - masks), F.softplus(logits))]
    totals = torch.stack([side.sum(PER_IMAGE) for side, _ in sides])
    means = torch.stack([(side * costs).sum(PER_IMAGE) for side, costs in sides]) / totals.clamp(min=_TINY)
    return (means.sum(0) / (totals > 0).sum(0)).mean()


def _pixel_weights(masks: Tensor, boundary_emphasis: float) -> Tensor:
    return boundary_weights(masks, emphasis=boundary_emphasis) if boundary_emphasis else torch.ones_like(masks)
