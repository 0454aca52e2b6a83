"""The four terms of crown mapping: instances, semantic classes, crowns and density, and how they are evaluated.

What: an annotation that an image lacks counts 0 for it, and means are over all images of the batch, so that an image
weighs the same in accumulated micro-batches as in one large batch. This holds only approximately for torchvision's
instance terms, which are means over sampled boxes.
Source: own.
Cost: that of the maps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as F

from trainable.models.crown_net import CrownOutput

VOID = 255
"""Label of pixels without a semantic class."""
TREES_PER = 1000
"""Densities are trees per this many square pixels, which keeps them near 1."""
CELL_PX = 4
"""Side of a cell of the density map."""

CrownTarget = Mapping[str, Tensor]
"""Annotations of one image: boxes (n, 4), labels (n,) from 1, masks (n, H, W) of 0 and 1, semantic (H, W) with VOID,
and the flag has_instances: False means that crowns are not annotated, not that there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrownLossConfig:
    """Weights of the terms, each 0 or more; 0 leaves a term out."""

    instance_weight: float = 1.0
    semantic_weight: float = 1.0
    crown_weight: float = 0.5
    density_weight: float = 0.5

    def __post_init__(self) -> None:
        weights = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, weight in weights.items():
            if not weight >= 0:
                raise ValueError(f"{name} is {weight}; it must be 0 or more.")
        if not any(weights.values()):
            raise ValueError("Every weight of the loss is 0, so nothing would be trained; raise one of them.")


def map_losses(output: CrownOutput, targets: Sequence[CrownTarget]) -> dict[str, Tensor]:
    """Cross-entropy of the classes, binary cross-entropy of the crowns, smooth L1 of the density; each a scalar."""
    annotated = torch.stack([target["has_instances"] for target in targets]).float()
    crown = torch.stack([crown_map(target) for target in targets])
    density = torch.stack([density_map(target) for target in targets])
    crown_loss = F.binary_cross_entropy_with_logits(output.crown_logits.float(), crown, reduction="none")
    density_loss = F.smooth_l1_loss(output.density.float(), density, reduction="none")
    labels = torch.stack([target["semantic"] for target in targets])
    # Over the labelled pixels of each image; one without labels counts 0.
    semantic_loss = F.cross_entropy(output.predictions.float(), labels, ignore_index=VOID, reduction="none")
    semantic_means = semantic_loss.sum(dim=(1, 2)) / (labels != VOID).sum(dim=(1, 2)).clamp(min=1)
    return {
        "semantic": semantic_means.mean(),
        "crown": (crown_loss.mean(dim=(1, 2)) * annotated).mean(),
        "density": (density_loss.mean(dim=(1, 2)) * annotated).mean(),
    }


def crown_map(target: CrownTarget) -> Tensor:
    """1 where there is a crown, float (H, W)."""
    return target["masks"].sum(dim=0).clamp(max=1).float()


def density_map(target: CrownTarget) -> Tensor:
    """Trees per 1,000 square pixels, (H / 4, W / 4): each tree is spread evenly over its own pixels."""
    masks = target["masks"].float()
    areas = masks.sum(dim=(1, 2), keepdim=True).clamp(min=1)
    return F.avg_pool2d((TREES_PER * masks / areas).sum(dim=0)[None], CELL_PX)[0]
