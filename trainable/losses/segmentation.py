"""Losses of a segmentation head, and the sum over a network's heads.

What: every loss takes logits and masks (B, 1, h, w) and returns the mean over images of a per-image loss, so that
micro-batches weighted by their samples add up to the whole batch. Masks may be soft, as coarser heads see them.
Computed in float32 whatever the precision of the logits.
Cost: a few passes over the logits; each head at its own resolution.
Off: `uncertainty_weight`, `aux_weight` and `z_loss_weight` of zero.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from trainable.fields import unknown_name
from trainable.models.output import ModelOutput

Criterion = Callable[[Tensor, Tensor], Tensor]

_BOUNDARY_WINDOW = 31 / 352
_BOUNDARY_EMPHASIS = 5.0
_PER_IMAGE = (1, 2, 3)


class HeadLosses(NamedTuple):
    """The loss of all heads, and the part of the auxiliary ones before their weight."""

    total: Tensor
    aux: Tensor


def deep_supervision(output: ModelOutput, masks: Tensor, criterion: Criterion, aux_weight: float = 0.4) -> HeadLosses:
    """The criterion on the prediction, plus `aux_weight` times its mean over the auxiliary outputs.

    The mean, so that the number of heads is no hidden learning rate. Coarser heads are compared with masks averaged
    over the area that each of their pixels covers. A weight of 0 leaves them out.
    Source: Lee et al., Deeply-Supervised Nets, AISTATS 2015, https://arxiv.org/abs/1409.5185.
    """
    main = criterion(output.predictions.float(), masks)
    if not output.aux_outputs or not aux_weight:
        return HeadLosses(total=main, aux=torch.zeros_like(main))
    heads = [criterion(logits.float(), _area_resized(masks, logits)) for logits in output.aux_outputs]
    aux = torch.stack(heads).mean()
    return HeadLosses(total=main + aux_weight * aux, aux=aux)


def bce_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Binary cross-entropy, the mean over pixels and images."""
    return F.binary_cross_entropy_with_logits(*_matched(logits, masks))


def dice_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """One minus the Dice coefficient of each image.

    The overlap of probability and mask is their minimum: for masks of 0 and 1 that is their product, and for soft
    masks the loss is then lowest where the probability equals the mask, which the product would not give.
    Source: Milletari et al., V-Net, 3DV 2016, https://arxiv.org/abs/1606.04797; for soft masks Wang et al., Dice
    Semimetric Losses, MICCAI 2023, https://arxiv.org/abs/2303.16296.
    """
    logits, masks = _matched(logits, masks)
    probabilities = logits.sigmoid()
    overlap = torch.minimum(probabilities, masks).sum(_PER_IMAGE)
    size = (probabilities + masks).sum(_PER_IMAGE)
    return (1 - (2 * overlap + 1) / (size + 1)).mean()


def bce_dice_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """The sum of cross-entropy and Dice loss."""
    return bce_loss(logits, masks) + dice_loss(logits, masks)


def structure_loss(logits: Tensor, masks: Tensor, *, boundary_window: float = _BOUNDARY_WINDOW) -> Tensor:
    """Cross-entropy plus one minus IoU, where pixels near the object's boundary weigh up to six times as much.

    Source: Wei et al., F3Net: Fusion, Feedback and Focus for Salient Object Detection, AAAI 2020,
    https://arxiv.org/abs/1911.11445. Widely copied code averages the cross-entropy before it is weighted, which
    cancels the weights; here they hold.

    Args:
        boundary_window: side of the window that decides what is near, as a share of the map's shorter side; the
            source's 31 pixels at 352.
    """
    logits, masks = _matched(logits, masks)
    weights = 1 + _BOUNDARY_EMPHASIS * (_window_mean(masks, boundary_window) - masks).abs()
    cross_entropy = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    weighted_entropy = (weights * cross_entropy).sum(_PER_IMAGE) / weights.sum(_PER_IMAGE)
    probabilities = logits.sigmoid()
    overlap = (weights * torch.minimum(probabilities, masks)).sum(_PER_IMAGE)
    union = (weights * (probabilities + masks)).sum(_PER_IMAGE) - overlap
    return (weighted_entropy + 1 - (overlap + 1) / (union + 1)).mean()


def uncertainty_awareness(logits: Tensor) -> Tensor:
    """Mean of 1 - |2p - 1|^2: one where the prediction is undecided, zero where it is 0 or 1.

    Source: Pang et al., Zoom In and Out: A Mixed-Scale Triplet Network for Camouflaged Object Detection, CVPR 2022,
    https://arxiv.org/abs/2203.02688.
    """
    return (1 - (2 * logits.float().sigmoid() - 1).square()).mean()


LOSSES: dict[str, Criterion] = {
    "bce": bce_loss,
    "dice": dice_loss,
    "bce_dice": bce_dice_loss,
    "structure": structure_loss,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentationLossConfig:
    """What a segmentation network is trained to lower."""

    criterion: str = "structure"
    """bce, dice, bce_dice or structure."""
    aux_weight: float = 0.4
    """Weight of the mean loss of the auxiliary heads; 0 is off."""
    z_loss_weight: float = 1e-3
    """Weight of the router's z-loss, where there is a router; 0 is off."""
    uncertainty_weight: float = 0.0
    """Weight of the uncertainty awareness of every head; 0 is off."""

    def __post_init__(self) -> None:
        if self.criterion not in LOSSES:
            raise ValueError(unknown_name("criterion", self.criterion, LOSSES))
        for name in ("aux_weight", "z_loss_weight", "uncertainty_weight"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 0 (off) or a positive number.")

    def build(self) -> Criterion:
        """The criterion of one head: `(logits, masks) -> mean loss over the images`."""
        criterion = LOSSES[self.criterion]
        if not self.uncertainty_weight:
            return criterion
        return lambda logits, masks: criterion(logits, masks) + self.uncertainty_weight * uncertainty_awareness(logits)


def _matched(logits: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Both in float32; a shape that merely broadcasts would be a silent error."""
    if logits.shape != masks.shape or logits.dim() != 4:
        raise ValueError(
            f"Logits of shape {tuple(logits.shape)} and masks of shape {tuple(masks.shape)} were given; both must be "
            "(B, 1, H, W)."
        )
    return logits.float(), masks.float()


def _area_resized(masks: Tensor, logits: Tensor) -> Tensor:
    if masks.shape[2:] == logits.shape[2:]:
        return masks
    return F.interpolate(masks.float(), size=logits.shape[2:], mode="area")


def _window_mean(masks: Tensor, share: float) -> Tensor:
    """Mean over an odd window around each pixel, zeros beyond the frame.

    By running sums, along one axis after the other: a pooling would add up the whole window at every pixel.
    """
    half = max(1, round((share * min(masks.shape[2:]) - 1) / 2))
    side = 2 * half + 1
    down = F.pad(masks, (0, 0, half + 1, half)).cumsum_(2)
    columns = down[:, :, side:] - down[:, :, :-side]
    along = F.pad(columns, (half + 1, half)).cumsum_(3)
    return (along[..., side:] - along[..., :-side]).div_(side**2)
