"""A linear layer on frozen features: what trained weights are worth before anything is trained.

What: features of the network as it starts, standardised; a logistic regression on those of the training split. Its
    strength C is the one of `STRENGTHS` with the best objective on the validation split, never on the test split. A
    training that is not above it has lost what the weights knew.
Sources: Alain and Bengio, Understanding intermediate layers using linear classifier probes, 2016,
    https://arxiv.org/abs/1610.01644; Kornblith et al., Do Better ImageNet Models Transfer Better?, CVPR 2019,
    https://arxiv.org/abs/1805.08974 (the logistic regression, C by validation); scikit-learn's `LogisticRegression`.
Cost: one forward pass over each split, at most MOST_IMAGES training images, and four fits: seconds to a minute.
Off: a network that starts from scratch.
"""

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from trainable.data.classes.labelled_images import MISSING
from trainable.supervision.evaluation import Metrics

STRENGTHS = (0.001, 0.01, 0.1, 1.0)
"""C of the regressions, the inverse of the penalty's weight."""
MOST_IMAGES = 2000
MOST_STEPS = 1000
_NEVER = -1e9
"""Logit of a class that no training image has."""

Batches = Iterable[tuple[Tensor, Any]]
Scores = Callable[[Tensor, Any], Any]
"""Computes scores for the metrics from the features of a batch, and from the sizes of its targets."""


def features_of(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """Returns the function from images (B, 3, H, W) in [0, 1] to the features that the network's head reads, (B, D).

    Raises:
        ValueError: the network has no method `features`.
    """
    # A network's attribute of this name may be a module of its layers, as torchvision's have.
    features = getattr(model, "features", None)
    if features is None or isinstance(features, nn.Module):
        raise ValueError(f"No linear probe: {type(model).__name__} has no method features(images) that returns (B, D).")
    return features


@dataclass(frozen=True)
class LinearProbe(ABC):
    """Linear layers on frozen features."""

    encode: Callable[[Tensor], Tensor]
    """Images in [0, 1] to features (B, D) or (B, D, h, w)."""

    @abstractmethod
    def fit(self, train: Batches, num_images: int) -> Sequence[Scores]:
        """Candidates that the validation split decides between; `train` is the training split in order."""


class FeatureProbe(LinearProbe):
    """The features themselves, for workloads whose metrics are probes already."""

    def fit(self, train: Batches, num_images: int) -> Sequence[Scores]:
        return [lambda features, targets: features]


@dataclass(frozen=True)
class LabelProbe(LinearProbe):
    """A regression on labels (B,), with probabilities (B, K) as its scores; or one for each task on labels (B, T), -1
    where one is missing, all with one strength, with a tuple of such probabilities.
    """

    num_classes: Sequence[int]
    """Number of classes of each task."""

    def fit(self, train: Batches, num_images: int) -> Sequence[Scores]:
        features, labels = encode_images(self.encode, thin(train, num_images))
        by_task = []
        for own, num_classes in zip(labels.reshape(len(labels), -1).T, self.num_classes, strict=True):
            known = own != MISSING
            by_task.append([head.probabilities for head in fit_heads(features[known], own[known], num_classes)])
        if labels.ndim == 1:
            return by_task[0]
        return [_of_each_task(heads) for heads in zip(*by_task, strict=True)]


class LinearHead(NamedTuple):
    """Logits (..., K) of features (..., D)."""

    weights: Tensor
    bias: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        return features @ self.weights + self.bias

    def probabilities(self, features: Tensor, targets: Any) -> Tensor:
        return self(features).softmax(dim=-1)


def fit_heads(
    features: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    sample_weight: np.ndarray | None = None,
    *,
    strengths: Sequence[float] = STRENGTHS,
) -> list[LinearHead]:
    """A regression for each of the strengths on features (N, D) and labels (N,) from 0 to num_classes - 1.

    Raises:
        ValueError: scikit-learn is not installed.
    """
    present = np.unique(labels)
    if len(present) < 2:
        bias = torch.full((num_classes,), _NEVER).index_fill(0, torch.from_numpy(present), 0.0)
        return [LinearHead(torch.zeros(features.shape[1], num_classes), bias)] * len(strengths)
    regression, scaler = _scikit_learn()
    standard = scaler.fit_transform(features)
    heads = []
    for strength in strengths:
        regression.set_params(C=strength)
        _fit_quietly(regression, standard, labels, sample_weight)
        heads.append(_as_head(regression, scaler, present, num_classes))
    return heads


@torch.no_grad()
def measure_probe(
    probe: LinearProbe,
    *,
    train: Batches,
    num_images: int,
    validation: Batches,
    test: Batches | None,
    new_metrics: Callable[[], Metrics],
    better: Callable[[Mapping[str, float]], float],
) -> dict[str, float]:
    """The metrics on the test split, or on the validation split where `test` is None.

    Args:
        num_images: of the training split.
        better: larger for better metrics; NaN is worse than any number.
    """
    candidates = probe.fit(train, num_images)
    on_validation = _measure(probe, candidates, validation, new_metrics)
    gains = [better(metrics) for metrics in on_validation]
    best = max(range(len(candidates)), key=lambda number: (not math.isnan(gains[number]), gains[number]))
    return on_validation[best] if test is None else _measure(probe, [candidates[best]], test, new_metrics)[0]


def thin(batches: Batches, num_images: int, most: int = MOST_IMAGES) -> Iterator[tuple[Tensor, Any]]:
    """Keeps every n-th image, at most `most`, since images may be sorted by class."""
    step, passed = math.ceil(num_images / most), 0
    for images, targets in batches:
        rows = slice(-passed % step, None, step)
        passed += len(images)
        if len(images[rows]):
            yield images[rows], targets[rows]


def encode_images(encode: Callable[[Tensor], Tensor], batches: Batches) -> tuple[np.ndarray, np.ndarray]:
    """Features and targets of all images."""
    pairs = [(encode(images).float().cpu(), targets.cpu()) for images, targets in batches]
    features, targets = (torch.cat(parts).numpy() for parts in zip(*pairs, strict=True))
    return features, targets


def _measure(
    probe: LinearProbe, candidates: Sequence[Scores], batches: Batches, new_metrics: Callable[[], Metrics]
) -> list[dict[str, float]]:
    """Computes the metrics of each candidate in one pass over the images."""
    metrics = [new_metrics() for _ in candidates]
    for images, targets in batches:
        features = probe.encode(images).float()
        for candidate, own in zip(candidates, metrics, strict=True):
            own.update(candidate(features, targets), targets)
    return [own.compute() for own in metrics]


def _of_each_task(heads: Sequence[Scores]) -> Scores:
    return lambda features, targets: tuple(head(features, targets) for head in heads)


def _scikit_learn() -> tuple[Any, Any]:
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler
    except ImportError as error:
        raise ValueError(
            "A linear probe needs scikit-learn, which is not installed: pip install scikit-learn."
        ) from error
    return LogisticRegression(max_iter=MOST_STEPS, warm_start=True), StandardScaler()


def _fit_quietly(regression: Any, features: np.ndarray, labels: np.ndarray, weights: np.ndarray | None) -> None:
    """Fits without a warning if the last step is reached, which is close enough.

    Runs on one thread, so that the result is the same to the bit in every process.
    """
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        regression.fit(features, labels, sample_weight=weights)


def _as_head(regression: Any, scaler: Any, present: np.ndarray, num_classes: int) -> LinearHead:
    """Converts the regression to raw features, with a row for every class."""
    coefficients, intercepts = regression.coef_, regression.intercept_
    if len(present) == 2:
        # scikit-learn keeps the difference of two classes alone.
        coefficients, intercepts = (np.stack([0 * row, row]) for row in (coefficients[0], intercepts[0]))
    coefficients = coefficients / scaler.scale_
    weights = torch.zeros(coefficients.shape[1], num_classes, dtype=torch.float64)
    bias = torch.full((num_classes,), _NEVER, dtype=torch.float64)
    weights[:, present] = torch.from_numpy(coefficients.T)
    bias[present] = torch.from_numpy(intercepts - coefficients @ scaler.mean_)
    return LinearHead(weights.float(), bias.float())
