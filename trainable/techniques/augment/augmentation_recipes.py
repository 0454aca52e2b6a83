"""Recipes of the augmentation of labelled images: its extent at full strength, by name.

Sources of the rows: light, moderate and aggressive are the project's three severities; "photograph" is its recipe for
photographs of objects; "two_views" is that of Chen et al., "A Simple Framework for Contrastive Learning of Visual
Representations", ICML 2020, https://arxiv.org/abs/2002.05709; cutout: DeVries and Taylor, "Improved Regularization of
Convolutional Neural Networks with Cutout", 2017, https://arxiv.org/abs/1708.04552.
"""

from dataclasses import dataclass, replace

from trainable.configuration.fields import unknown_name

BLUR_REFERENCE_PX = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentationRecipe:
    """Chances are for each image, in [0, 1]; a range of two equal numbers is not a choice."""

    kept_area: tuple[float, float] = (1.0, 1.0)
    """Share of the image that the random crop keeps, in (0, 1]; it is stretched back to full size."""
    p_flip: float = 0.0
    """Chance of a mirror from left to right."""
    max_rotation_degrees: float = 0.0
    p_affine: float = 0.0
    """Chance of a shift, a new size and a slant together."""
    max_shift_share: float = 0.1
    """Largest shift as a share of width and height."""
    max_scale_change: float = 0.1
    max_shear_degrees: float = 5.0
    p_jitter: float = 0.0
    """Chance of new colours."""
    max_brightness_change: float = 0.2
    max_contrast_change: float = 0.2
    max_saturation_change: float = 0.2
    max_hue_turns: float = 0.1
    """Largest hue shift to either side, in turns of the colour circle."""
    p_grey: float = 0.0
    """Chance of no colours at all."""
    p_blur: float = 0.0
    blur_sigma_px: tuple[float, float] = (0.1, 2.0)
    """Range of sigma for an image of BLUR_REFERENCE_PX; smaller ones are blurred less."""
    num_operations: int = 0
    """Operations of random_operations that each image draws."""
    operation_magnitude: float = 0.3
    p_cutout: float = 0.0
    cutout_area: tuple[float, float] = (0.02, 0.1)
    """Share of the image that a box hides under its mean colour."""
    max_cutout_log_aspect: float = 0.0
    """Largest logarithm of the box's width over its height."""
    p_bend: float = 0.0
    """Chance of a bent grid."""
    max_bend: float = 0.3
    """Largest move of a node of the grid, as a share of the distance between nodes."""


_LIGHT = AugmentationRecipe(kept_area=(0.75, 1.0), p_flip=0.5)
_MODERATE = replace(_LIGHT, p_jitter=0.8, p_blur=0.2, blur_sigma_px=(0.1, 1.0), max_rotation_degrees=15.0)
_AGGRESSIVE = replace(_MODERATE, num_operations=2, p_cutout=0.5, cutout_area=(0.02, 0.2), p_bend=0.3)

RECIPES: dict[str, AugmentationRecipe] = {
    "light": _LIGHT,
    "moderate": _MODERATE,
    "aggressive": _AGGRESSIVE,
    "photograph": AugmentationRecipe(
        # A random crop out of the image enlarged by a tenth.
        kept_area=(1.1**-2, 1.1**-2),
        p_flip=0.5,
        max_rotation_degrees=15.0,
        p_jitter=1.0,
        p_blur=0.2,
        # A kernel of three pixels can't blur more than this, whatever sigma it is asked for.
        blur_sigma_px=(0.1, 0.8),
        p_affine=0.3,
        p_cutout=0.1,
        max_cutout_log_aspect=1.2,
    ),
    "two_views": AugmentationRecipe(
        kept_area=(0.2, 1.0),
        p_flip=0.5,
        p_jitter=0.8,
        max_brightness_change=0.8,
        max_contrast_change=0.8,
        max_saturation_change=0.8,
        max_hue_turns=0.2,
        p_grey=0.2,
        p_blur=0.5,
    ),
}


def get_recipe(name: str) -> AugmentationRecipe:
    """The recipe of that name; raises ValueError with the nearest when there is none."""
    if name not in RECIPES:
        raise ValueError(unknown_name("augmentation severity", name, RECIPES))
    return RECIPES[name]
