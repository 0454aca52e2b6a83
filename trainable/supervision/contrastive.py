"""Losses and scores of an encoder that learns from two views of each image."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from trainable.losses.contrastive import nt_xent
from trainable.supervision.base import EvaluatedBatch, Forward, Losses, Supervision


class ContrastiveSupervision(Supervision):
    """NT-Xent on pairs of views (B, 2, 3, H, W), in one forward pass; labels are ignored."""

    def __init__(self, *, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def losses(self, forward: Forward, images: Tensor, targets: Any) -> Losses:
        """Returns the loss and the mean cosine of partners; near 1 from the start, the views hardly differ."""
        output = forward(images.flatten(0, 1))
        first, second = output.predictions.unflatten(0, (-1, 2)).unbind(dim=1)
        likeness = F.cosine_similarity(first.detach().float(), second.detach().float()).mean()
        return Losses(nt_xent(first, second, temperature=self.temperature), output, {"partner_cosine": likeness})

    def evaluate(self, forward: Forward, images: Tensor, targets: Any) -> EvaluatedBatch:
        """Scores are the features, for a probe; `loss` is NT-Xent of each query and its mirror image.

        Batches of the bank, which is training data, have no `loss`.
        """
        output = forward(images)
        losses: dict[str, Tensor] = {}
        if output.embeddings is None:
            raise ValueError("The model's output has no embeddings (B, D), which an encoder is evaluated by.")
        if targets["is_query"].all():
            mirrored = forward(images.flip(-1))
            losses["loss"] = nt_xent(output.predictions, mirrored.predictions, temperature=self.temperature)
        return EvaluatedBatch(output.predictions, output.embeddings.float(), losses)


class PairSupervision(ContrastiveSupervision):
    """The same loss in an evaluation, whose batches are pairs of views (B, 2, 3, H, W), too; there are no labels."""

    def evaluate(self, forward: Forward, images: Tensor, targets: Any) -> EvaluatedBatch:
        """Scores are the features of both views (B, 2, D)."""
        output = forward(images.flatten(0, 1))
        if output.embeddings is None:
            raise ValueError("The model's output has no embeddings (B, D), which a backbone is evaluated by.")
        first, second = output.predictions.unflatten(0, (-1, 2)).unbind(dim=1)
        loss = nt_xent(first, second, temperature=self.temperature)
        return EvaluatedBatch(output.predictions, output.embeddings.float().unflatten(0, (-1, 2)), {"loss": loss})
