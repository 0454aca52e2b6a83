"""A contrastive term beside the segmentation loss: two views of an image agree, objects differ from the background.

What: a second view of the batch is recoloured, blurred and mirrored. Three losses are added: NT-Xent between whole
images, consistency of each place in both views after the mirror is undone, and contrast of object and background.
Sources: those of losses/contrastive.py.
Cost: a second forward and backward pass. Off: `contrastive=None`, which is the default.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from trainable.losses.contrastive import dense_consistency, foreground_background_contrast, nt_xent
from trainable.models.output import ModelOutput
from trainable.techniques.augment.progressive_augmentation import CODProgressiveAugmentation


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastiveConfig:
    """Weight of the contrastive losses, and strength of the second view."""

    contrastive_weight: float = 0.1
    """Weight of the sum of the three losses, > 0; off is no term."""
    contrastive_temperature: float = 0.1
    """Temperature of the comparisons, 0.01 or more; a low one is sharp."""
    view_strength: float = 0.5
    """Strength of the augmentation of the second view, 0 to 1."""

    def __post_init__(self) -> None:
        if not self.contrastive_weight > 0:
            raise ValueError(f"contrastive_weight is {self.contrastive_weight}; it must be positive, off is none.")
        if not self.contrastive_temperature >= 0.01:
            raise ValueError(f"contrastive_temperature is {self.contrastive_temperature}; it must be 0.01 or more.")
        if not 0 <= self.view_strength <= 1:
            raise ValueError(f"view_strength is {self.view_strength}; it must lie between 0 and 1.")


class ContrastiveTerm:
    """Adds the three losses; holds the random stream of the second views."""

    def __init__(self, config: ContrastiveConfig, *, seed: int) -> None:
        self.config = config
        strength = config.view_strength
        generator = torch.Generator().manual_seed(seed)
        self._second_look = CODProgressiveAugmentation(strength, strength, 0, 0, generator=generator)

    def __call__(
        self, output: ModelOutput, forward: Callable[[Tensor], ModelOutput], images: Tensor, masks: Tensor
    ) -> Tensor:
        """The weighted term of a batch with this `output`.

        Raises:
            ValueError: the model gives no embeddings.
        """
        pair = self._second_look.views(images, masks)
        anchor, positive = output.embeddings, forward(pair.positive).embeddings
        if anchor is None or positive is None:
            raise ValueError(
                "The contrastive term needs embeddings (B, D, h, w) in the model's output; there are none."
            )
        temperature = self.config.contrastive_temperature
        loss = dense_consistency(anchor, pair.undo_geometry(positive))
        loss = loss + foreground_background_contrast(anchor, masks, temperature=temperature)
        if len(images) > 1:
            loss = loss + nt_xent(anchor.mean(dim=(2, 3)), positive.mean(dim=(2, 3)), temperature=temperature)
        return self.config.contrastive_weight * loss

    def state_dict(self) -> dict[str, float | Tensor]:
        return self._second_look.state_dict()

    def load_state_dict(self, state: dict) -> None:
        self._second_look.load_state_dict(state)
