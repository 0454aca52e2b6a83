"""Contrastive losses on embeddings: between images, between two views of a pixel, between object and background.

Cost: `nt_xent` compares every pair of a batch, the others are linear in the pixels of the embedding.
Off: the weight that the caller gives them. All are computed in float32, under autocast too.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trainable.losses.segmentation import area_resized

MIN_TEMPERATURE = 0.01
_TINY = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class NtXentConfig:
    """Temperature of the NT-Xent loss."""

    temperature: float = 0.07
    """Divides the cosines, 0.01 or more; a low one weighs the most similar negatives more."""

    def __post_init__(self) -> None:
        _check_temperature(self.temperature)


def nt_xent(first: Tensor, second: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Cross-entropy of finding each view's partner among the 2N - 1 others; views are (N, D) and (N, D).

    An embedding is never compared with itself: random features would already reach that similarity, the highest there
    is. The loss depends on the other images of the batch, so accumulated micro-batches differ from one large batch.
    Source: Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, ICML 2020,
    https://arxiv.org/abs/2002.05709.

    Raises:
        ValueError: fewer than two images, shapes that differ, or a temperature below 0.01.
    """
    _check_temperature(temperature)
    if first.shape != second.shape or first.dim() != 2 or len(first) < 2:
        raise ValueError(
            f"Views of shape {tuple(first.shape)} and {tuple(second.shape)} were given; both must be (N, D) with at "
            "least two images to tell apart: use a larger batch, or drop the last one."
        )
    with torch.autocast(first.device.type, enabled=False):
        views = F.normalize(torch.cat([first, second]).float(), dim=1)
        similarity = (views @ views.T / temperature).fill_diagonal_(float("-inf"))
        partner = torch.arange(len(views), device=views.device).roll(len(first))
        return F.cross_entropy(similarity, partner)


def dense_consistency(anchor: Tensor, positive: Tensor) -> Tensor:
    """One minus the cosine between two views' embeddings (B, D, h, w) at the same place, the mean over images.

    The caller first aligns the positive with the anchor by undoing its flips and crops. Nothing here prevents all
    embeddings from becoming equal: use it beside a loss that does.
    Source: Xie et al., Propagate Yourself: Exploring Pixel-Level Consistency for Unsupervised Visual Representation
    Learning, CVPR 2021, https://arxiv.org/abs/2011.10043.
    """
    if anchor.shape != positive.shape or anchor.dim() != 4 or anchor.shape[1] < 2:
        raise ValueError(
            f"Embeddings of shape {tuple(anchor.shape)} and {tuple(positive.shape)} were given; both must be "
            "(B, D, h, w) with two channels or more, because a single channel has no direction."
        )
    return (1 - F.cosine_similarity(anchor.float(), positive.float(), dim=1)).mean(dim=(1, 2)).mean()


def foreground_background_contrast(embeddings: Tensor, masks: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Pulls each pixel to the mean embedding of its own side of the mask and away from the other's, per image.

    Object and background count alike, whatever their sizes. An image that lacks either side contributes 0 to the
    mean over images.
    Source: Wang et al., Exploring Cross-Image Pixel Contrast for Semantic Segmentation, ICCV 2021,
    https://arxiv.org/abs/2101.11939, with one prototype for each side of each image in place of a memory bank.

    Args:
        embeddings: (B, D, h, w).
        masks: (B, 1, H, W) of any size; averaged over the area of each embedding.
    """
    _check_temperature(temperature)
    inside = area_resized(masks, embeddings.shape[2:]).float()
    directions = F.normalize(embeddings.float(), dim=1)
    towards_object, towards_background = (
        (directions * F.normalize(_weighted_mean(directions, side), dim=1)[..., None, None]).sum(1, keepdim=True)
        for side in (inside, 1 - inside)
    )
    margin = (towards_object - towards_background) / temperature
    per_image = 0.5 * (_weighted_mean(F.softplus(-margin), inside) + _weighted_mean(F.softplus(margin), 1 - inside))
    objects = (masks > 0.5).flatten(1)
    has_both_sides = objects.any(1) & ~objects.all(1)
    return (per_image.squeeze(1) * has_both_sides).mean()


def _weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean over the last two axes; 0 where all weights are 0."""
    return (values * weights).sum((-2, -1)) / weights.sum((-2, -1)).clamp(min=_TINY)


def _check_temperature(temperature: float) -> None:
    if not temperature >= MIN_TEMPERATURE:
        raise ValueError(f"temperature is {temperature}; it must be {MIN_TEMPERATURE} or more, 0.1 is usual.")
