"""Losses and scores of a classifier."""

from collections.abc import Callable

from torch import Tensor

from trainable.losses.classification import soft_targets
from trainable.supervision.base import EvaluatedBatch, Forward, Losses, Supervision


class ClassificationSupervision(Supervision):
    """A criterion on class logits; targets are labels (B,), or soft ones (B, K) where images were mixed.

    Args:
        criterion: `(logits, targets) -> mean loss` over the samples of a batch.
    """

    def __init__(self, criterion: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.criterion = criterion

    def losses(self, forward: Forward, images: Tensor, targets: Tensor) -> Losses:
        """Returns the loss and the training accuracy; for a mixed image, the share of the predicted class."""
        output = forward(images)
        logits = output.predictions.float()
        soft = soft_targets(targets, logits.shape[-1])
        called = logits.detach().argmax(dim=1, keepdim=True)
        return Losses(self.criterion(logits, targets), output, {"accuracy": soft.gather(1, called).mean()})

    def evaluate(self, forward: Forward, images: Tensor, targets: Tensor) -> EvaluatedBatch:
        """Scores are probabilities; the metric nll does not depend on the searched loss."""
        logits = forward(images).predictions.float()
        return EvaluatedBatch(logits, logits.softmax(dim=1), {"loss": self.criterion(logits, targets)})
