"""Predictions that look at no image: the floor that a trained network has to leave.

What: for each workload the constants that its metrics can be computed of, learned from the training split's labels (an
empty mask or the mean mask, the most common class or grades, no crowns, features that are all the same), and random
answers: classes drawn as often as they occur, the crowns of another image, random features. Those are drawn several
times: their mean is chance, and their spread says how far luck goes on so many images.
Cost: one pass over the labels of a split, under a second to a few. Off: a task that lists none is compared with none.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainable.supervision.base import resize_logits
from trainable.supervision.evaluation import Metrics

DRAWS = 50
"""Draws of random answers, for a mean and a spread."""
PROBE_DRAWS = 20
"""Draws of random features, each of which is probed."""


class TrivialFloor(NamedTuple):
    """Score of a workload's best trivial prediction on a split: the mean over its draws."""

    name: str
    objective: float
    metrics: dict[str, float]
    facts: dict[str, float] = {}
    """Facts about the training labels, by name."""
    spread: float = 0.0
    """Standard deviation of the objective over the draws; 0 of a constant."""


class TrivialPredictor(NamedTuple):
    """A constant, or random answers, as scores of a batch."""

    name: str
    """Name for people, such as `an empty mask`."""
    scores: Callable[[Any], Any]
    """Computes scores for the metrics from the number and the size of a batch's targets."""

    draws: int = 1
    """Number of draws of random answers."""


def measured_floors(
    predictors: Sequence[TrivialPredictor],
    batches: Iterable[tuple[Any, Any]],
    new_metrics: Callable[[], Metrics],
    *,
    objective: str,
) -> list[TrivialFloor]:
    """Measures the floor of each predictor in one pass over the split.

    One without a finite objective has none: a correlation with a constant is not defined.
    """
    accumulators = [[new_metrics() for _ in range(one.draws)] for one in predictors]
    for _, targets in batches:
        for predictor, draws in zip(predictors, accumulators, strict=True):
            for metrics in draws:
                metrics.update(predictor.scores(targets), targets)
    floors = []
    for predictor, draws in zip(predictors, accumulators, strict=True):
        drawn = [metrics.compute() for metrics in draws]
        means = {name: math.fsum(one[name] for one in drawn) / len(drawn) for name in drawn[0]}
        finite = {name: value for name, value in means.items() if math.isfinite(value)}
        if objective not in finite:
            continue
        spread = float(np.std([one[objective] for one in drawn]))
        floors.append(TrivialFloor(predictor.name, finite[objective], finite, spread=spread))
    return floors


def constant_masks(masks: np.ndarray) -> tuple[TrivialPredictor, ...]:
    """An empty mask, and the mean of the training masks (N, H, W)."""
    mean = torch.from_numpy(masks.mean(axis=0, dtype=np.float64)).float()[None, None]
    return (
        TrivialPredictor("an empty mask", lambda targets: torch.zeros_like(targets, dtype=torch.float32)),
        TrivialPredictor(
            "the mean mask", lambda targets: resize_logits(mean, targets.shape[-2:]).expand(len(targets), -1, -1, -1)
        ),
    )


def object_sizes(masks: np.ndarray, native_table: np.ndarray) -> dict[str, float]:
    """Share and side of the median object on training masks (N, H, W), and the longer side of the median file.

    The side is that of a square of the object's pixels; images without an object do not count.
    """
    shares = masks.mean(axis=(1, 2), dtype=np.float64)
    shares = shares[shares > 0]
    if not len(shares):
        return {}
    share = float(np.median(shares))
    return {
        "object_share": share,
        "object_side_px": math.sqrt(share * masks.shape[1] * masks.shape[2]),
        "file_side_px": float(np.median(native_table[:, 1:].max(axis=1))),
    }


def class_predictors(counts: Sequence[int], class_names: Sequence[str]) -> tuple[TrivialPredictor, ...]:
    """The class with the most training images; and classes drawn as often as they occur among the training images,
    which no training of wrong labels beats.
    """
    generator = torch.Generator().manual_seed(0)
    return (
        TrivialPredictor(
            f"the most common class, {class_names[int(np.argmax(counts))]}",
            lambda targets: _most_likely(counts).expand(len(targets), -1),
        ),
        TrivialPredictor("random classes", lambda targets: _drawn(counts, len(targets), generator), DRAWS),
    )


def grade_predictors(counts: Mapping[str, Sequence[int]]) -> tuple[TrivialPredictor, ...]:
    """Like `class_predictors`, for each task."""
    generator = torch.Generator().manual_seed(0)
    return (
        TrivialPredictor(
            "the most common grades",
            lambda targets: tuple(_most_likely(own).expand(len(targets), -1) for own in counts.values()),
        ),
        TrivialPredictor(
            "random grades",
            lambda targets: tuple(_drawn(own, len(targets), generator) for own in counts.values()),
            DRAWS,
        ),
    )


def feature_predictors(shape: Callable[[Any], tuple[int, ...]]) -> tuple[TrivialPredictor, ...]:
    """Features that are the same for all images, so that a probe can only call one class; and random features, whose
    probe is at chance.

    `shape` takes the targets of a batch, and returns all dimensions of its features but the last.
    """
    generator = torch.Generator().manual_seed(0)
    return (
        TrivialPredictor("features that are all the same", lambda targets: torch.zeros(*shape(targets), 1)),
        TrivialPredictor(
            "random features", lambda targets: torch.randn(*shape(targets), 8, generator=generator), PROBE_DRAWS
        ),
    )


def _drawn(counts: Sequence[int], number: int, generator: torch.Generator) -> Tensor:
    """Draws one class per image, as probabilities (B, K)."""
    classes = torch.multinomial(torch.tensor(counts).double(), number, replacement=True, generator=generator)
    return torch.nn.functional.one_hot(classes, len(counts)).float()


def _most_likely(counts: Sequence[int]) -> Tensor:
    probabilities = torch.zeros(1, len(counts))
    probabilities[0, int(np.argmax(counts))] = 1.0
    return probabilities
