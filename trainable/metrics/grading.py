"""Metrics of several gradings of one image: those of a classifier for each, and their means over the gradings.

What: `<task>_<metric>` of trainable/metrics/classification.py for each task, over its labelled images; `mean_kappa`,
`mean_accuracy` and `mean_macro_f1` are the plain means of the tasks' own.
Cost: that of the classification metrics, for each task.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean

from torch import Tensor

from trainable.metrics.classification import METRIC_NAMES, ClassificationMetrics, SeveralClassifications

_MEANS = {"mean_kappa": "quadratic_weighted_kappa", "mean_accuracy": "accuracy", "mean_macro_f1": "macro_f1"}


def metric_names(class_names: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Names of the metrics that `GradingMetrics` computes for these tasks and classes."""
    own = [
        f"{task}_{metric}"
        for task, classes in class_names.items()
        for metric in (*METRIC_NAMES, *(f"{score}_{name}" for name in classes for score in ("recall", "f1")))
    ]
    return (*_MEANS, *own)


class GradingMetrics(SeveralClassifications):
    """Accumulates over batches of one tensor of probabilities (B, K) per task and labels (B, T), -1 where missing."""

    def __init__(self, class_names: Mapping[str, Sequence[str]]) -> None:
        super().__init__({task: ClassificationMetrics(classes) for task, classes in class_names.items()})

    def update(self, scores: Sequence[Tensor], targets: Tensor) -> None:
        for metrics, own, labels in zip(self.parts.values(), scores, targets.unbind(dim=1), strict=True):
            metrics.update(own, labels)

    def compute(self) -> dict[str, float]:
        """All metrics; raises ValueError when a task had no label at all."""
        values = {task: metrics.compute() for task, metrics in self.parts.items()}
        means = {mean: fmean(own[metric] for own in values.values()) for mean, metric in _MEANS.items()}
        return means | {f"{task}_{metric}": value for task, own in values.items() for metric, value in own.items()}
