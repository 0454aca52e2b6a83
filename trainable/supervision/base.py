"""Turns a batch into a loss and an evaluation batch into scores: the interface between a workload and the trainer.

A plain criterion is wrapped in `DeepSupervision`; a workload whose loss is not a function of one tensor and its mask
(two tasks, two views, a detector) writes its own `Supervision`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn

from trainable.losses.segmentation import Criterion, deep_supervision
from trainable.models.output import ModelOutput

Forward = Callable[..., ModelOutput]
"""The model in the precision of the training, with the same arguments."""


class Losses(NamedTuple):
    """The loss of a micro-batch as means over its samples."""

    total: Tensor
    """The loss to minimise: a scalar with a gradient."""
    output: ModelOutput
    """Other outputs of the forward pass, for techniques that add terms: routing, embeddings."""
    parts: Mapping[str, Tensor] = {}
    """Scalars that are part of the total or logged beside it, by their names in the results."""


class EvaluatedBatch(NamedTuple):
    """The outputs of an evaluation batch."""

    predictions: Any
    """Raw predictions, as passed to the user's metrics function."""
    scores: Any
    """The input of the workload's metrics, such as probabilities."""
    losses: Mapping[str, Tensor]
    """`loss` and other means over the samples of the batch."""


class Supervision(nn.Module, ABC):
    """Computes losses and scores of a batch. Its parameters, if any, are trained and saved with the model's."""

    repeats_backward: bool = False
    """Whether `losses` takes gradients itself, so that a training step has more than one backward pass."""

    @abstractmethod
    def losses(self, forward: Forward, images: Any, targets: Any) -> Losses:
        """The loss of a training batch."""

    @abstractmethod
    def evaluate(self, forward: Forward, images: Any, targets: Any) -> EvaluatedBatch:
        """Scores and losses of an evaluation batch, without gradients and unaugmented."""

    def attach(self, model: nn.Module) -> None:
        """Receives the model before its first batch; what you keep of it must not become a submodule."""

    def end_update(self, terms: Mapping[str, float]) -> None:
        """Receives each loss term after an optimizer update, the mean over its samples and over all ranks."""

    def end_epoch(self, means: Mapping[str, float]) -> None:
        """Receives the mean of each loss term after a training epoch; state that it keeps belongs in buffers."""


class DeepSupervision(Supervision):
    """A criterion of (logits, masks) on the prediction and on every auxiliary output.

    Args:
        criterion: `(logits, masks) -> mean loss` over the samples of a batch.
        aux_weight: weight of the mean auxiliary loss, 0 is off.
        fixed_loss: a second criterion, reported as `nll`, that stays fixed when the first one is searched.
    """

    def __init__(self, criterion: Criterion, *, aux_weight: float = 0.4, fixed_loss: Criterion | None = None) -> None:
        super().__init__()
        self.criterion = criterion
        self.aux_weight = aux_weight
        self.fixed_loss = fixed_loss

    def losses(self, forward: Forward, images: Tensor, targets: Tensor) -> Losses:
        output = forward(images)
        heads = deep_supervision(output, targets, self.criterion, self.aux_weight)
        return Losses(heads.total, output, {"aux_loss": heads.aux})

    def evaluate(self, forward: Forward, images: Tensor, targets: Tensor) -> EvaluatedBatch:
        """Resizes the prediction to the masks' resolution, where metrics are defined."""
        logits = resize_logits(forward(images).predictions.float(), targets.shape[-2:])
        losses = {"loss": self.criterion(logits, targets)}
        if self.fixed_loss is not None:
            losses["nll"] = self.fixed_loss(logits, targets)
        return EvaluatedBatch(logits, logits.sigmoid(), losses)


def resize_logits(logits: Tensor, size: tuple[int, ...]) -> Tensor:
    """Resizes logits [B, 1, H, W] to the height and width of evaluation."""
    if logits.shape[-2:] == size:
        return logits
    return nn.functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)
