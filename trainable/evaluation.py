"""Evaluation of a segmentation model on whole images, at the masks' own resolution, where metrics are defined."""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from trainable.losses.segmentation import Criterion
from trainable.metrics.running_mean import RunningMeans
from trainable.models.output import ModelOutput

MetricsFunction = Callable[[Tensor, Tensor], Mapping[str, float]]


class Metrics(Protocol):
    """Accumulates over batches of probabilities and masks, and reduces once."""

    def update(self, probabilities: Tensor, masks: Tensor) -> None: ...
    def compute(self) -> dict[str, float]: ...


@torch.no_grad()
def evaluate(
    forward: Callable[[Tensor], ModelOutput],
    batches: Iterable[tuple[Tensor, Tensor]],
    criterion: Criterion,
    *,
    metrics_fn: MetricsFunction | None = None,
    metrics: Metrics | None = None,
) -> dict[str, float]:
    """`val_loss`, the sample means of what `metrics_fn` gives for (logits, masks), and what `metrics` accumulates."""
    means = RunningMeans()
    for images, masks in batches:
        logits = _resized(forward(images).predictions.float(), masks)
        values = {} if metrics_fn is None else metrics_fn(logits, masks)
        means.add({"val_loss": criterion(logits, masks), **values}, len(images))
        if metrics is not None:
            metrics.update(logits.sigmoid(), masks)
    return means.compute() | ({} if metrics is None else metrics.compute())


def _resized(logits: Tensor, masks: Tensor) -> Tensor:
    if logits.shape[-2:] == masks.shape[-2:]:
        return logits
    return nn.functional.interpolate(logits, size=masks.shape[-2:], mode="bilinear", align_corners=False)
