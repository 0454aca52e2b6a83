"""Evaluation of a model on a whole split."""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from trainable.metrics.running_mean import RunningMeans
from trainable.supervision.base import Forward, Supervision
from trainable.techniques.parallel.data_parallel import Ranks
from trainable.techniques.parallel.tensor_tree import map_tensors

MetricsFunction = Callable[[Any, Any], Mapping[str, float]]


class Metrics(Protocol):
    """Accumulates over batches of scores and targets, and reduces once."""

    def update(self, scores: Any, targets: Any) -> None: ...
    def compute(self) -> dict[str, float]: ...


class Evaluation(NamedTuple):
    """Results of one split; names have no prefix of the split."""

    losses: dict[str, float]
    """Means over its samples: `loss`, and what else the supervision reports."""
    metrics: dict[str, float]
    """Metrics of the metrics function and of the accumulator."""

    @property
    def flat(self) -> dict[str, float]:
        return self.losses | self.metrics


@torch.no_grad()
def evaluate(
    forward: Forward,
    batches: Iterable[tuple[Tensor, Any]],
    supervision: Supervision,
    *,
    metrics_fn: MetricsFunction | None = None,
    metrics: Metrics | None = None,
    ranks: Ranks | None = None,
) -> Evaluation:
    """The supervision's losses, the sample means of `metrics_fn`, and the results of `metrics`.

    Several ranks divide the batches, and each returns the values of all; `metrics` must then be Mergeable.

    Raises:
        ValueError: there is no batch.
    """
    losses, by_function = RunningMeans(), RunningMeans()
    # Every rank takes whole batches: together they see each one once.
    for images, targets in batches if ranks is None else islice(batches, ranks.rank, None, ranks.size):
        evaluated = supervision.evaluate(forward, images, targets)
        losses.add(evaluated.losses, len(images))
        if metrics_fn is not None:
            by_function.add(metrics_fn(evaluated.predictions, targets), len(images))
        if metrics is not None:
            metrics.update(*for_metrics((evaluated.scores, targets)))
    if ranks is not None:
        ranks.merge(losses, by_function, *([] if metrics is None else [metrics]))
    means = losses.compute()
    if not means:
        raise ValueError("No batch was evaluated; the loader is empty.")
    return Evaluation(means, by_function.compute() | ({} if metrics is None else metrics.compute()))


def for_metrics(tree: Any) -> Any:
    """The tensors where metrics can be computed: they need float64, which an Apple GPU does not have."""
    return map_tensors(lambda one: one.cpu() if one.device.type == "mps" else one, tree)
