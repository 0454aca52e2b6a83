"""Which loss a segmentation network is trained with."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from trainable.configuration.fields import unknown_name
from trainable.losses.rare_foreground import balanced_bce_loss, focal_loss, tversky_loss
from trainable.losses.segmentation import (
    Criterion,
    bce_dice_loss,
    bce_loss,
    dice_loss,
    structure_loss,
    uncertainty_awareness,
)

LOSSES: dict[str, Callable[..., Tensor]] = {
    "bce": bce_loss,
    "dice": dice_loss,
    "bce_dice": bce_dice_loss,
    "structure": structure_loss,
    "focal": focal_loss,
    "tversky": tversky_loss,
    "balanced_bce": balanced_bce_loss,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentationLossConfig:
    """The loss of a segmentation network."""

    criterion: str = "structure"
    """bce, dice, bce_dice, structure; for rare foreground and thin objects also focal, tversky or balanced_bce."""
    focal_gamma: float | None = None
    """Focusing exponent of focal, 0 (cross-entropy) or more: higher values ignore nearly right pixels; None: 2."""
    focal_alpha: float | None = None
    """Weight of the object in focal, in (0, 1); the background has the rest; None: 0.25, from the paper."""
    tversky_beta: float | None = None
    """Cost of a missed pixel in tversky, in (0, 1); a false one costs the rest; 0.5 is dice; None: 0.7."""
    aux_weight: float = 0.4
    """Weight of the mean loss of the auxiliary heads; 0 is off."""
    z_loss_weight: float = 1e-3
    """Weight of the router's z-loss, where there is a router; 0 is off."""
    uncertainty_weight: float = 0.0
    """Weight of the uncertainty awareness of every head; 0 is off."""
    boundary_emphasis: float | None = None
    """Extra weight of a pixel at the object's boundary, 0 or more; None: 5 for structure, 0 for the others."""

    def __post_init__(self) -> None:
        if self.criterion not in LOSSES:
            raise ValueError(unknown_name("criterion", self.criterion, LOSSES))
        if self.focal_gamma is not None and not 0 <= self.focal_gamma < math.inf:
            raise ValueError(f"focal_gamma is {self.focal_gamma}; it must be 0 (cross-entropy) or more, 2 is usual.")
        for name, usual in (("focal_alpha", "0.5 weighs both sides the same"), ("tversky_beta", "0.5 is dice")):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1:
                raise ValueError(f"{name} is {value}; it must lie between 0 and 1, {usual}.")
        if self.boundary_emphasis is not None and not 0 <= self.boundary_emphasis < math.inf:
            raise ValueError(
                f"boundary_emphasis is {self.boundary_emphasis}; it must be 0 (off) or a positive number, or none for "
                "the criterion's own."
            )
        for name in ("aux_weight", "z_loss_weight", "uncertainty_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 0 (off) or a positive number.")

    def build(self) -> Criterion:
        """The criterion of one head: `(logits, masks) -> mean loss over the images`."""
        given = {"boundary_emphasis": self.boundary_emphasis}
        if self.criterion == "focal":
            given |= {"gamma": self.focal_gamma, "alpha": self.focal_alpha}
        if self.criterion == "tversky":
            given |= {"beta": self.tversky_beta}
        chosen = {name: value for name, value in given.items() if value is not None}
        criterion = partial(LOSSES[self.criterion], **chosen)
        if not self.uncertainty_weight:
            return criterion
        return lambda logits, masks: criterion(logits, masks) + self.uncertainty_weight * uncertainty_awareness(logits)
