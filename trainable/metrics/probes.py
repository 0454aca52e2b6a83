"""How well frozen features separate the classes: nearest neighbours and a linear probe.

What: features are standardised by the bank's mean and spread. The k-NN probe lets the nearest bank images vote, each by
exp(cosine / 0.07); the linear probe is a softmax regression on the bank, trained from zero with a fixed budget. Both
are scored on queries that they never saw. Unlike a contrastive loss they do not depend on the temperature, the batch
and the views, so a search can compare them.
Sources: Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR 2018,
    https://arxiv.org/abs/1805.01978 (the weighted vote); Alain and Bengio, "Understanding intermediate layers using
    linear classifier probes", 2016, https://arxiv.org/abs/1610.01644.
Cost: each image is encoded once; then milliseconds for some hundred features.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from trainable.metrics.collected import CollectedBatches

NUM_NEIGHBOURS = 10
VOTE_TEMPERATURE = 0.07
LINEAR_STEPS = 100
LINEAR_LR = 0.1
LINEAR_DECAY = 1e-3
METRIC_NAMES = ("knn_accuracy", "linear_accuracy")


class ProbeMetrics(CollectedBatches):
    """Accumulates features (B, D) with targets `label` and `is_query` (B,), and probes once."""

    collects = ("features", "labels", "is_query")

    def __init__(self, *, num_classes: int) -> None:
        super().__init__()
        self._num_classes = num_classes

    def update(self, scores: Tensor, targets: dict[str, Tensor]) -> None:
        self.collect(scores, targets["label"], targets["is_query"])

    def compute(self) -> dict[str, float]:
        features, labels, is_query = self.collected()
        bank, queries = standardise(features[~is_query], features[is_query])
        known, wanted = labels[~is_query], labels[is_query]
        calls = {
            "knn_accuracy": knn_calls(bank, known, queries, num_classes=self._num_classes),
            "linear_accuracy": linear_calls(bank, known, queries, num_classes=self._num_classes),
        }
        return {name: float((called == wanted).float().mean()) for name, called in calls.items()}


def standardise(bank: Tensor, queries: Tensor) -> tuple[Tensor, Tensor]:
    """Scales each feature of both by the mean and standard deviation of the bank; a constant feature becomes 0."""
    mean, spread = bank.mean(dim=0), bank.std(dim=0, correction=0)
    scale = torch.where(spread > 1e-6, 1.0 / spread.clamp_min(1e-6), 0.0)
    return (bank - mean) * scale, (queries - mean) * scale


def knn_calls(
    bank: Tensor, labels: Tensor, queries: Tensor, *, num_classes: int, num_neighbours: int = NUM_NEIGHBOURS
) -> Tensor:
    """Predicts the class of each query (Q, D) by the vote of its nearest neighbours in the bank (N, D), labels (N,)."""
    cosine = F.normalize(queries, dim=1) @ F.normalize(bank, dim=1).T
    nearest, rows = cosine.topk(min(num_neighbours, len(bank)), dim=1)
    votes = queries.new_zeros(len(queries), num_classes)
    return votes.scatter_add_(1, labels[rows], (nearest / VOTE_TEMPERATURE).exp()).argmax(dim=1)


def linear_calls(bank: Tensor, labels: Tensor, queries: Tensor, *, num_classes: int) -> Tensor:
    """Predicts the class of each query (Q, D) by a softmax regression on the bank."""
    targets = F.one_hot(labels, num_classes).to(bank)
    weights, bias = bank.new_zeros(bank.shape[1], num_classes), bank.new_zeros(num_classes)
    for _ in range(LINEAR_STEPS):
        residual = ((bank @ weights + bias).softmax(dim=1) - targets) / len(bank)
        weights = weights - LINEAR_LR * (bank.T @ residual + LINEAR_DECAY * weights)
        bias = bias - LINEAR_LR * residual.sum(dim=0)
    return (queries @ weights + bias).argmax(dim=1)
