"""MixUp and CutMix: two images in one, and a soft label with the share of each.

What: with `mixing_probability` a batch is mixed, each image with another one of the batch. MixUp blends the pixels by
a share drawn from Beta(alpha, alpha); CutMix pastes a box of the other image and counts the pixels that were
replaced, because a box at the edge is smaller than the one drawn. With both on, each has an even chance.
Sources: Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, https://arxiv.org/abs/1710.09412;
Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", ICCV 2019,
https://arxiv.org/abs/1905.04899.
Cost: one pass over the pixels. Off: `mixing=None`. The training accuracy of a mixed image is the share of the predicted
class in its label.
"""

from dataclasses import KW_ONLY, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trainable.techniques.augment.batch_augmentation import BatchAugmentation, per_image, sent
from trainable.techniques.augment.fourier_mixing import derangement
from trainable.techniques.augment.image_warp import box_masks
from trainable.techniques.optim.older_torch import gamma_draws


@dataclass(frozen=True, slots=True, kw_only=True)
class MixingConfig:
    """The kind of mixing, its shares and its probability."""

    mixup_alpha: float = 0.8
    """Parameter of the Beta distribution of MixUp's shares, >= 0; 0 is off, large values mix evenly."""
    cutmix_alpha: float = 1.0
    """Parameter of the Beta distribution of CutMix's areas, >= 0; 0 is off."""
    mixing_probability: float = 0.5
    """Probability that a batch is mixed, in (0, 1]."""

    def __post_init__(self) -> None:
        for name in ("mixup_alpha", "cutmix_alpha"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 0 (off) or more.")
        if not self.mixup_alpha and not self.cutmix_alpha:
            raise ValueError("mixup_alpha and cutmix_alpha are both 0; raise one of them, or set mixing=None.")
        if not 0 < self.mixing_probability <= 1:
            raise ValueError(
                f"mixing_probability is {self.mixing_probability}; it must lie in (0, 1], off is mixing=None."
            )


def mixup(images: Tensor, labels: Tensor, shares: Tensor, partners: Tensor) -> tuple[Tensor, Tensor]:
    """Each image [B, C, H, W] and soft label [B, K] blended with its partner's; `shares` [B] is what it keeps."""
    kept = sent(shares, images)
    rows = sent(partners, images)
    weights = per_image(kept).to(images.dtype)
    return images[rows].lerp(images, weights), labels[rows].lerp(labels, kept[:, None])


def cutmix(images: Tensor, labels: Tensor, boxes: Tensor, partners: Tensor) -> tuple[Tensor, Tensor]:
    """Each image [B, C, H, W] with its partner's pixels inside its box [B, 1, H, W]; labels [B, K] by area."""
    boxes, rows = sent(boxes, images), sent(partners, images)
    kept = 1.0 - boxes.float().mean(dim=(1, 2, 3))
    return torch.where(boxes, images[rows], images), labels[rows].lerp(labels, kept[:, None])


@dataclass(eq=False)
class LabelMixing(BatchAugmentation):
    """Mixes batches; a batch of one image is unchanged."""

    config: MixingConfig
    _: KW_ONLY
    num_classes: int
    generator: torch.Generator

    def apply(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Images [B, C, H, W] with class numbers [B], or soft labels [B, K], to mixed images and soft labels [B, K]."""
        config, count = self.config, len(images)
        labels = F.one_hot(labels, self.num_classes).float() if labels.dim() == 1 else labels
        is_mixed, is_cut = torch.rand(2, generator=self.generator)
        if is_mixed >= config.mixing_probability or count < 2:
            return images, labels
        partners = derangement(count, self.generator)
        if not config.cutmix_alpha or (config.mixup_alpha and is_cut >= 0.5):
            return mixup(images, labels, self._beta(config.mixup_alpha, count), partners)
        area = 1.0 - self._beta(config.cutmix_alpha, count)
        middle = torch.rand(count, 2, generator=self.generator)
        return cutmix(images, labels, box_masks(area, middle, torch.zeros(count), images.shape[-2:]), partners)

    def _beta(self, alpha: float, count: int) -> Tensor:
        """Beta(alpha, alpha) as a share of two gamma draws; torch's own Beta takes no generator."""
        gamma = gamma_draws(torch.full((2, count), alpha, dtype=torch.float64), self.generator)
        return (gamma[0] / gamma.sum(dim=0).clamp_min(torch.finfo(torch.float64).tiny)).float()
