"""Metrics of a classifier from two tables: its confusion matrix, and its accuracy by confidence.

What, over all images with a label (-1 is left out), for K classes:
    accuracy                   share predicted correctly.
    recall_<class>             share of the images of that class predicted correctly; 0 for a class without images.
    f1_<class>                 2 tp / (2 tp + fp + fn); 0 for a class that is neither in the targets nor predicted.
    balanced_accuracy          mean recall of the classes in the targets, as scikit-learn does.
    macro_f1                   mean F1 of the classes in the targets or predictions, as scikit-learn does with
                               zero_division=0.
    quadratic_weighted_kappa   1 - (weighted disagreement) / (that of independent grades with the same totals), weight
                               (i - j)^2; for ordered grades. 1 where there is one class and it is always predicted.
    ece                        mean over the images of |accuracy - mean confidence| of their bin, of equally wide bins.
    nll                        mean of -log(probability of the true class), whatever the training loss.
    constant_share             share of the class that is predicted most; 1 when all predictions are the same.
                               0 where the images are of one class.
Sources: Cohen, Weighted kappa, 1968, https://doi.org/10.1037/h0026256; Guo et al., On Calibration of Modern Neural
    Networks, 2017, https://arxiv.org/abs/1706.04599 (ece).
Cost: two histograms of a batch, kept on the device and read once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainable.metrics.collected import SummedBatches

NUM_BINS = 15
METRIC_NAMES = ("accuracy", "balanced_accuracy", "macro_f1", "quadratic_weighted_kappa", "ece", "nll", "constant_share")
"""Metrics of every classifier; `recall_<class>` and `f1_<class>` are added."""


class ClassificationMetrics(SummedBatches):
    """Accumulates over batches of probabilities (B, K) and labels (B,)."""

    sums = ("confusion", "bins", "nll")

    def __init__(self, class_names: Sequence[str]) -> None:
        self.class_names = tuple(class_names)
        self._confusion = self._bins = self._nll = torch.zeros((), dtype=torch.float64)

    def update(self, scores: Tensor, targets: Tensor) -> None:
        """scores: probabilities (B, K); targets: int64 (B,), -1 where there is no label."""
        assert scores.shape == (len(targets), len(self.class_names)), (scores.shape, targets.shape)
        labelled = (targets >= 0).double()
        labels, scores = targets.clamp_min(0), scores.double()
        confidence, predicted = scores.max(dim=1)
        right = (predicted == labels).double() * labelled
        num_classes = len(self.class_names)
        pairs = _summed(labels * num_classes + predicted, labelled.unsqueeze(1), num_classes**2)
        self._confusion = self._confusion + pairs.view(num_classes, num_classes)
        bins = (confidence * NUM_BINS).ceil().long().clamp(1, NUM_BINS) - 1
        self._bins = self._bins + _summed(bins, torch.stack([right, confidence * labelled], dim=1), NUM_BINS)
        truth = scores.gather(1, labels.unsqueeze(1)).squeeze(1).clamp_min(torch.finfo(torch.float32).tiny)
        self._nll = self._nll - (truth.log() * labelled).sum()

    def confusion(self) -> Tensor:
        """Images by true class (rows) and predicted class, float64, (K, K)."""
        if not self._confusion.sum():
            raise ValueError("No evaluated image has a label; give data with labels.")
        return self._confusion.cpu()

    def compute(self) -> dict[str, float]:
        """All metrics; raises ValueError when no image had a label."""
        confusion = self.confusion()
        total, right = confusion.sum(), confusion.diag()
        targets, predictions = confusion.sum(1), confusion.sum(0)
        recall, f1 = right / targets.clamp_min(1), 2 * right / (targets + predictions).clamp_min(1)
        values = {
            "accuracy": right.sum() / total,
            "balanced_accuracy": recall[targets > 0].mean(),
            "macro_f1": f1[targets + predictions > 0].mean(),
            "quadratic_weighted_kappa": quadratic_weighted_kappa(confusion),
            "ece": (self._bins[:, 0] - self._bins[:, 1]).abs().sum().cpu() / total,
            "nll": self._nll.cpu() / total,
            "constant_share": predictions.max() / total if (targets > 0).sum() > 1 else torch.zeros(()),
        }
        values |= {f"f1_{name}": value for name, value in zip(self.class_names, f1, strict=True)}
        values |= {f"recall_{name}": value for name, value in zip(self.class_names, recall, strict=True)}
        return {name: float(value) for name, value in values.items()}


@dataclass(eq=False)
class SeveralClassifications:
    """Classifications of the same images, by name."""

    parts: Mapping[str, ClassificationMetrics]

    def state_dict(self) -> dict[str, Any]:
        return {name: metrics.state_dict() for name, metrics in self.parts.items()}

    def merge(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Replaces its sums by those of all `states`."""
        for name, metrics in self.parts.items():
            metrics.merge([state[name] for state in states])


def quadratic_weighted_kappa(confusion: Tensor) -> Tensor:
    """Kappa of a table (K, K) of true and predicted grades, a scalar."""
    grades = torch.arange(len(confusion), dtype=torch.float64)
    distances = (grades[:, None] - grades).square()
    by_chance = torch.outer(confusion.sum(1), confusion.sum(0)) / confusion.sum()
    expected = (distances * by_chance).sum()
    return 1 - (distances * confusion).sum() / expected if expected > 0 else torch.ones((), dtype=torch.float64)


def _summed(bins: Tensor, values: Tensor, num_bins: int) -> Tensor:
    """Sums the rows of values (B, C) bin by bin, (num_bins, C)."""
    return values.new_zeros(num_bins, values.shape[1]).index_add_(0, bins, values)
