"""Two augmented views of every image for contrastive pre-training.

What: each image of a batch becomes two views, side by side, so that a part of a batch holds whole pairs. Crop, flip,
colour, grey and blur are drawn anew for each view of each image.
Source: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations" (SimCLR), ICML 2020,
https://arxiv.org/abs/2002.05709, with its ranges as defaults.
Cost: that of two augmentations. Off: not possible; without two views there is nothing to learn from.
"""

from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from trainable.techniques.augment.augmentation_recipes import AugmentationRecipe, get_recipe
from trainable.techniques.augment.batch_augmentation import BatchAugmentation
from trainable.techniques.augment.image_augmentation import augment_images


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoViewsConfig:
    """Strength of the difference between the two views of an image."""

    smallest_crop_area: float = 0.2
    """Smallest share of the image that a view shows, in (0, 1]."""
    colour_strength: float = 0.8
    """Largest change of brightness, contrast and saturation, in [0, 1]; the hue changes by a quarter of it."""
    p_recolour: float = 0.8
    """Probability of colour jitter, in [0, 1]."""
    p_greyscale: float = 0.2
    """Probability of greyscale, in [0, 1]."""
    p_defocus: float = 0.5
    """Probability of a blur of up to 2 px at 256 px, in [0, 1]."""

    def __post_init__(self) -> None:
        if not 0 < self.smallest_crop_area <= 1:
            raise ValueError(f"smallest_crop_area is {self.smallest_crop_area}; it must lie in (0, 1].")
        for name in ("colour_strength", "p_recolour", "p_greyscale", "p_defocus"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must lie in [0, 1], 0 is off.")

    def recipe(self) -> AugmentationRecipe:
        """The augmentation of one view."""
        return replace(
            get_recipe("two_views"),
            kept_area=(self.smallest_crop_area, 1.0),
            max_brightness_change=self.colour_strength,
            max_contrast_change=self.colour_strength,
            max_saturation_change=self.colour_strength,
            max_hue_turns=self.colour_strength / 4,
            p_jitter=self.p_recolour,
            p_grey=self.p_greyscale,
            p_blur=self.p_defocus,
        )


@dataclass(eq=False)
class TwoViews(BatchAugmentation):
    """Makes batches of two views."""

    config: TwoViewsConfig
    _: KW_ONLY
    generator: torch.Generator
    """Generator on the CPU."""

    def apply(self, images: Tensor, targets: Any) -> tuple[Tensor, Any]:
        """Images [B, 3, H, W] in [0, 1] as views [B, 2, 3, H, W]; the targets are unchanged."""
        recipe = self.config.recipe()
        views = [augment_images(images, recipe, strength=1.0, generator=self.generator) for _ in range(2)]
        return torch.stack(views, dim=1), targets
