"""Predictions that look at no image: the floor that a trained network has to leave.

What: for each workload the constants that its metrics can be computed of, learned from the training split's labels: an
empty mask or the mean mask, the most common class or grades, no crowns, features that are all the same.
Cost: one pass over the labels of a split. Off: a task that lists none is compared with none.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainable.supervision.base import resized
from trainable.supervision.evaluation import Metrics


class TrivialFloor(NamedTuple):
    """What the best of a workload's constants scores on a split."""

    name: str
    objective: float
    metrics: dict[str, float]


class TrivialPredictor(NamedTuple):
    """A constant, as scores of a batch."""

    name: str
    """For people, such as `an empty mask`."""
    scores: Callable[[Any], Any]
    """From the targets of a batch, of which only the number and the size count, to scores for the metrics."""

    def measure(self, batches: Iterable[tuple[Any, Any]], metrics: Metrics) -> dict[str, float]:
        """The metrics of a split."""
        for _, targets in batches:
            metrics.update(self.scores(targets), targets)
        return metrics.compute()


def constant_masks(masks: np.ndarray) -> tuple[TrivialPredictor, ...]:
    """An empty mask, and the mean of the training masks (N, H, W)."""
    mean = torch.from_numpy(masks.mean(axis=0, dtype=np.float64)).float()[None, None]
    return (
        TrivialPredictor("an empty mask", lambda targets: torch.zeros_like(targets, dtype=torch.float32)),
        TrivialPredictor(
            "the mean mask", lambda targets: resized(mean, targets.shape[-2:]).expand(len(targets), -1, -1, -1)
        ),
    )


def most_common_class(counts: Sequence[int], class_names: Sequence[str]) -> TrivialPredictor:
    """The class with the most training images."""
    return TrivialPredictor(
        f"the most common class, {class_names[int(np.argmax(counts))]}",
        lambda targets: _most_likely(counts).expand(len(targets), -1),
    )


def most_common_grades(counts: Mapping[str, Sequence[int]]) -> TrivialPredictor:
    """The grade with the most training images, task by task."""
    return TrivialPredictor(
        "the most common grades",
        lambda targets: tuple(_most_likely(own).expand(len(targets), -1) for own in counts.values()),
    )


def equal_features() -> TrivialPredictor:
    """Features that tell no image from another, so that a probe can only call one class."""
    return TrivialPredictor("features that are all the same", lambda targets: torch.zeros(len(targets["label"]), 1))


def equal_looks() -> TrivialPredictor:
    """Features that tell no image from another, of both looks."""
    return TrivialPredictor("features that are all the same", lambda targets: torch.zeros(len(targets), 2, 1))


def _most_likely(counts: Sequence[int]) -> Tensor:
    probabilities = torch.zeros(1, len(counts))
    probabilities[0, int(np.argmax(counts))] = 1.0
    return probabilities
