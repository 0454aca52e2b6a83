"""Evaluation of a model on a whole split."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from trainable.metrics.running_mean import RunningMeans
from trainable.supervision.base import Forward, Supervision
from trainable.techniques.parallel.data_parallel import Ranks

MetricsFunction = Callable[[Any, Any], Mapping[str, float]]


class Metrics(Protocol):
    """Accumulates over batches of scores and targets, and reduces once."""

    def update(self, scores: Any, targets: Any) -> None: ...
    def compute(self) -> dict[str, float]: ...


@torch.no_grad()
def evaluate(
    forward: Forward,
    batches: Iterable[tuple[Tensor, Any]],
    supervision: Supervision,
    *,
    metrics_fn: MetricsFunction | None = None,
    metrics: Metrics | None = None,
    ranks: Ranks | None = None,
) -> dict[str, float]:
    """The supervision's losses, the sample means of what `metrics_fn` gives, and what `metrics` accumulates.

    Several ranks share the batches out, and each returns the values of all; `metrics` are then Mergeable.
    """
    means = RunningMeans()
    for images, targets in batches if ranks is None else ranks.share_of(batches):
        judged = supervision.judged(forward, images, targets)
        values = {} if metrics_fn is None else metrics_fn(judged.predictions, targets)
        means.add({**judged.losses, **values}, len(images))
        if metrics is not None:
            metrics.update(judged.scores, targets)
    if ranks is not None:
        ranks.merge(means, *([] if metrics is None else [metrics]))
    return means.compute() | ({} if metrics is None else metrics.compute())
