"""Losses of a classifier for imbalanced classes: weighted, focal, smoothed, from labels or soft targets.

What: with p = softmax(logits), target weights y (one-hot, or soft after MixUp) and class weights w,
    focal         = sum_k y_k w_k (1 - p_k)^gamma (-log p_k), for each sample by itself;
    cross-entropy = sum_k q_k w_k (-log p_k), where q = (1 - smoothing) y + smoothing / K;
    loss          = focal_share * focal + (1 - focal_share) * cross-entropy, averaged over the samples.
    Smoothing applies to the cross-entropy alone: on softened targets the focal term would never vanish.
    Class weights are scaled to a mean of 1 over the training split. The mean over a micro-batch then needs no divisor
    of its own, so gradient accumulation stays exact.
Sources: Lin et al., Focal Loss for Dense Object Detection, 2017, https://arxiv.org/abs/1708.02002;
    Cui et al., Class-Balanced Loss Based on Effective Number of Samples, 2019, https://arxiv.org/abs/1901.05555;
    Szegedy et al., Rethinking the Inception Architecture, 2015, https://arxiv.org/abs/1512.00567 (smoothing).
Cost: one log-softmax. Off: `class_weights="none"`, `focal_gamma=None`, `label_smoothing=0`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ClassWeights = Literal["none", "inverse", "sqrt_inverse", "effective_number"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationLossConfig:
    """Weights of classes, of hard samples and of smoothed targets."""

    class_weights: ClassWeights = "none"
    """Weight by a class's number n of training images: inverse 1/n, sqrt_inverse 1/sqrt(n), effective_number
    (1 - beta) / (1 - beta^n)."""
    effective_beta: float = 0.99
    """beta of effective_number, in [0, 1): 0 is no weighting, towards 1 it becomes inverse."""
    class_counts: tuple[int, ...] = ()
    """Images of each class in the training split, by label; set from the opened data."""
    focal_gamma: float | None = None
    """Exponent of the focal term, >= 0, usually 2; None leaves cross-entropy alone."""
    focal_share: float = 1.0
    """Share of the focal term when it is on, in (0, 1]; the rest is cross-entropy."""
    label_smoothing: float = 0.0
    """Share of the target spread over all classes in the cross-entropy, in [0, 1)."""

    def __post_init__(self) -> None:
        if not 0 <= self.effective_beta < 1:
            raise ValueError(f"effective_beta is {self.effective_beta}; it must lie in [0, 1), usually 0.9 to 0.9999.")
        if self.focal_gamma is not None and not 0 <= self.focal_gamma < math.inf:
            raise ValueError(f"focal_gamma is {self.focal_gamma}; it must be 0 or more, or none for no focal term.")
        if not 0 < self.focal_share <= 1:
            raise ValueError(f"focal_share is {self.focal_share}; it must lie in (0, 1], focal_gamma=none is off.")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing is {self.label_smoothing}; it must lie in [0, 1).")
        if self.label_smoothing and self.focal_gamma is not None and self.focal_share == 1:
            raise ValueError(
                f"label_smoothing is {self.label_smoothing}, but it acts on the cross-entropy, and with "
                "focal_share 1 there is none; lower focal_share, or set label_smoothing to 0."
            )

    def build(self) -> "ClassificationLoss":
        """Raises ValueError when classes are weighted and no training image was counted."""
        if self.class_weights == "none":
            return ClassificationLoss(self, None)
        if not sum(self.class_counts):
            raise ValueError(
                f"class_weights is {self.class_weights!r}, but class_counts is {self.class_counts}; give the images of "
                "each class in the training split, or set class_weights to none."
            )
        return ClassificationLoss(self, balancing_weights(self.class_counts, self.class_weights, self.effective_beta))


class ClassificationLoss(nn.Module):
    """`(logits, targets) -> mean loss` over the samples of a batch."""

    weights: Tensor | None

    def __init__(self, config: ClassificationLossConfig, weights: Tensor | None) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """logits (B, K); targets (B,) int64 with -1 for a missing label, or soft ones (B, K)."""
        return classification_losses(
            logits,
            targets,
            weights=self.weights,
            focal_gamma=self.config.focal_gamma,
            focal_share=self.config.focal_share,
            label_smoothing=self.config.label_smoothing,
        ).mean()


def classification_losses(
    logits: Tensor,
    targets: Tensor,
    *,
    weights: Tensor | None = None,
    focal_gamma: float | None = None,
    focal_share: float = 1.0,
    label_smoothing: float = 0.0,
) -> Tensor:
    """The loss of each sample, shape (B,); 0 for a label of -1, which still counts as a sample."""
    log_probabilities = F.log_softmax(logits.float(), dim=-1)
    soft = soft_targets(targets, logits.shape[-1])
    costs = -log_probabilities if weights is None else -log_probabilities * weights
    spread = soft.sum(-1) * costs.mean(-1)
    cross_entropy = (1 - label_smoothing) * (soft * costs).sum(-1) + label_smoothing * spread
    if focal_gamma is None:
        return cross_entropy
    doubts = (-torch.expm1(log_probabilities)).clamp_min(torch.finfo(torch.float32).tiny)
    focal = (soft * doubts.pow(focal_gamma) * costs).sum(-1)
    return focal_share * focal + (1 - focal_share) * cross_entropy


def soft_targets(targets: Tensor, num_classes: int) -> Tensor:
    """Labels (B,) as one-hot rows (B, K), a label of -1 as zeros; soft targets are returned unchanged."""
    if targets.is_floating_point():
        return targets
    return F.one_hot(targets.clamp_min(0), num_classes).float() * (targets >= 0).unsqueeze(-1)


def balancing_weights(class_counts: Sequence[int], kind: ClassWeights, beta: float = 0.99) -> Tensor:
    """Weights (K,) whose mean over the counted images is 1; a class without images gets 0."""
    counts = torch.tensor(class_counts, dtype=torch.float64)
    raw = torch.where(counts > 0, _WEIGHTINGS[kind](counts.clamp_min(1), beta), 0.0)
    return (raw * counts.sum() / (raw * counts).sum()).float()


_WEIGHTINGS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "none": lambda counts, beta: torch.ones_like(counts),
    "inverse": lambda counts, beta: 1 / counts,
    "sqrt_inverse": lambda counts, beta: counts.rsqrt(),
    "effective_number": lambda counts, beta: (1 - beta) / (1 - beta**counts),
}
