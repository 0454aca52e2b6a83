"""Losses of a segmentation head, and the sum over a network's heads.

What: every loss takes logits and masks (B, 1, h, w) and returns the mean over images of a per-image loss, so that
micro-batches weighted by their samples add up to the whole batch. Masks may be soft, as coarser heads see them.
Computed in float32 whatever the precision of the logits.
Each can weigh pixels near the object's boundary more: 1 + emphasis * |window mean of the mask - mask|.
Source of the weights: Wei et al., F3Net: Fusion, Feedback and Focus for Salient Object Detection, AAAI 2020,
https://arxiv.org/abs/1911.11445, with its cross-entropy and IoU; here any of the losses takes them.
Cost: a few passes over the logits, each head at its own resolution; pixel weights add two cumulative sums.
Off: `boundary_emphasis` and `aux_weight` of zero.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from trainable.models.output import ModelOutput

Criterion = Callable[[Tensor, Tensor], Tensor]

_BOUNDARY_WINDOW = 31 / 352
_BOUNDARY_EMPHASIS = 5.0
PER_IMAGE = (1, 2, 3)


class HeadLosses(NamedTuple):
    """The loss of all heads, and the part of the auxiliary ones before their weight."""

    total: Tensor
    aux: Tensor


def deep_supervision(output: ModelOutput, masks: Tensor, criterion: Criterion, aux_weight: float = 0.4) -> HeadLosses:
    """The criterion on the prediction, plus `aux_weight` times its mean over the auxiliary outputs.

    It is a mean so that the number of heads does not scale the gradient. Coarser heads are compared with masks averaged
    over the area that each of their pixels covers. A weight of 0 leaves them out.
    Source: Lee et al., Deeply-Supervised Nets, AISTATS 2015, https://arxiv.org/abs/1409.5185.
    """
    main = criterion(output.predictions.float(), masks)
    if not output.aux_outputs or not aux_weight:
        return HeadLosses(total=main, aux=torch.zeros_like(main))
    heads = [criterion(logits.float(), area_resized(masks, logits.shape[2:])) for logits in output.aux_outputs]
    aux = torch.stack(heads).mean()
    return HeadLosses(total=main + aux_weight * aux, aux=aux)


def bce_loss(logits: Tensor, masks: Tensor, *, boundary_emphasis: float = 0.0) -> Tensor:
    """Binary cross-entropy, the mean over pixels and images."""
    logits, masks = as_matching_float32(logits, masks)
    if not boundary_emphasis:
        return F.binary_cross_entropy_with_logits(logits, masks)
    return _weighted_entropy(logits, masks, boundary_weights(masks, emphasis=boundary_emphasis)).mean()


def dice_loss(logits: Tensor, masks: Tensor, *, boundary_emphasis: float = 0.0) -> Tensor:
    """One minus the Dice coefficient of each image.

    The overlap of probability and mask is their minimum: for masks of 0 and 1 that is their product, and for soft
    masks the loss is then lowest where the probability equals the mask, which the product would not give.
    Source: Milletari et al., V-Net, 3DV 2016, https://arxiv.org/abs/1606.04797; for soft masks Wang et al., Dice
    Semimetric Losses, MICCAI 2023, https://arxiv.org/abs/2303.16296.
    """
    logits, masks = as_matching_float32(logits, masks)
    probabilities = logits.sigmoid()
    overlaps, sizes = torch.minimum(probabilities, masks), probabilities + masks
    if boundary_emphasis:
        weights = boundary_weights(masks, emphasis=boundary_emphasis)
        overlaps, sizes = weights * overlaps, weights * sizes
    return (1 - (2 * overlaps.sum(PER_IMAGE) + 1) / (sizes.sum(PER_IMAGE) + 1)).mean()


def bce_dice_loss(logits: Tensor, masks: Tensor, *, boundary_emphasis: float = 0.0) -> Tensor:
    """The sum of cross-entropy and Dice loss."""
    bce = bce_loss(logits, masks, boundary_emphasis=boundary_emphasis)
    return bce + dice_loss(logits, masks, boundary_emphasis=boundary_emphasis)


def structure_loss(
    logits: Tensor,
    masks: Tensor,
    *,
    boundary_emphasis: float = _BOUNDARY_EMPHASIS,
    boundary_window: float = _BOUNDARY_WINDOW,
) -> Tensor:
    """Cross-entropy plus one minus IoU, where pixels near the object's boundary weigh up to six times as much.

    Source: F3Net, as the weights. Widely copied code averages the cross-entropy before weighting it, which cancels the
    weights; here they apply.
    """
    logits, masks = as_matching_float32(logits, masks)
    weights = boundary_weights(masks, emphasis=boundary_emphasis, window=boundary_window)
    weighted_entropy = _weighted_entropy(logits, masks, weights)
    probabilities = logits.sigmoid()
    overlap = (weights * torch.minimum(probabilities, masks)).sum(PER_IMAGE)
    union = (weights * (probabilities + masks)).sum(PER_IMAGE) - overlap
    return (weighted_entropy + 1 - (overlap + 1) / (union + 1)).mean()


def boundary_weights(masks: Tensor, *, emphasis: float, window: float = _BOUNDARY_WINDOW) -> Tensor:
    """The weight of each pixel of masks (B, 1, H, W): 1 far from a boundary, up to 1 + `emphasis` at one.

    Args:
        window: side of the window that decides what is near, as a share of the map's shorter side; the source's 31
            pixels at 352.
    """
    return 1 + emphasis * (_window_mean(masks, window) - masks).abs()


def uncertainty_awareness(logits: Tensor) -> Tensor:
    """Mean of 1 - |2p - 1|^2: one where the prediction is undecided, zero where it is 0 or 1.

    Source: Pang et al., Zoom In and Out: A Mixed-Scale Triplet Network for Camouflaged Object Detection, CVPR 2022,
    https://arxiv.org/abs/2203.02688.
    """
    return (1 - (2 * logits.float().sigmoid() - 1).square()).mean()


def _weighted_entropy(logits: Tensor, masks: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of each image, shape (B,), as the weighted mean over its pixels."""
    cross_entropy = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    return (weights * cross_entropy).sum(PER_IMAGE) / weights.sum(PER_IMAGE)


def as_matching_float32(logits: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Returns both in float32; raises ValueError unless the shapes are equal: broadcasting would hide a mistake."""
    if logits.shape != masks.shape or logits.dim() != 4:
        raise ValueError(
            f"Logits of shape {tuple(logits.shape)} and masks of shape {tuple(masks.shape)} were given; both must be "
            "(B, 1, H, W)."
        )
    return logits.float(), masks.float()


def area_resized(masks: Tensor, size: Sequence[int]) -> Tensor:
    """Masks (B, 1, H, W) averaged over the area of each pixel of a smaller map.

    On an Apple GPU it is computed on the CPU: MPS pools only areas of equal size.
    """
    if tuple(masks.shape[2:]) == tuple(size):
        return masks
    source = masks.cpu() if masks.device.type == "mps" else masks
    return F.interpolate(source.float(), size=tuple(size), mode="area").to(masks.device)


def _window_mean(masks: Tensor, share: float) -> Tensor:
    """Mean over an odd window around each pixel, zeros beyond the frame.

    By cumulative sums along one axis after the other: pooling would add up the whole window at every pixel.
    """
    half = max(1, round((share * min(masks.shape[2:]) - 1) / 2))
    side = 2 * half + 1
    down = F.pad(masks, (0, 0, half + 1, half)).cumsum_(2)
    columns = down[:, :, side:] - down[:, :, :-side]
    along = F.pad(columns, (half + 1, half)).cumsum_(3)
    return (along[..., side:] - along[..., :-side]).div_(side**2)
