"""How an encoder learns from two looks at each image, and is judged by its features."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from trainable.losses.contrastive import nt_xent
from trainable.supervision.base import Forward, Judged, Losses, Supervision


class ContrastiveSupervision(Supervision):
    """NT-Xent on pairs of looks (B, 2, 3, H, W), all of them in one forward pass; labels are not looked at."""

    def __init__(self, *, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def losses(self, forward: Forward, images: Tensor, targets: Any) -> Losses:
        """Beside the loss the mean cosine of partners; near 1 from the start, the encoder sees no difference."""
        output = forward(images.flatten(0, 1))
        first, second = output.predictions.unflatten(0, (-1, 2)).unbind(dim=1)
        likeness = F.cosine_similarity(first.detach().float(), second.detach().float()).mean()
        return Losses(nt_xent(first, second, temperature=self.temperature), output, {"partner_cosine": likeness})

    def judged(self, forward: Forward, images: Tensor, targets: Any) -> Judged:
        """Scores are the features, for a probe; `loss` finds each query's mirror image among those of the batch.

        The bank is training data and has no such loss.
        """
        output = forward(images)
        losses: dict[str, Tensor] = {}
        if output.embeddings is None:
            raise ValueError("An encoder is judged by its embeddings (B, D); the model's output has none.")
        if targets["is_query"].all():
            mirrored = forward(images.flip(-1))
            losses["loss"] = nt_xent(output.predictions, mirrored.predictions, temperature=self.temperature)
        return Judged(output.predictions, output.embeddings.float(), losses)
