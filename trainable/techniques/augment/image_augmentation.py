"""Augmentation of labelled images: crop, flip, rotation, colours, blur, cutout, bent grid, drawn for each image.

What: a recipe gives the probabilities and magnitudes at full strength; each is multiplied by the current strength,
which may follow the epoch. The geometry of an image is one resampling, its colours one matrix. Labels
stay what they are. A whole batch is changed on its device, with numbers from a generator of its own.
Source: Shorten and Khoshgoftaar, "A survey on Image Data Augmentation for Deep Learning", 2019,
https://doi.org/10.1186/s40537-019-0197-0; the parts name theirs in image_warp, image_colour, random_operations.
Cost: images of 64 x 64 a second in batches of 32 on one CPU core: light 5900, moderate, photograph and two_views some
4000, aggressive 1700.
Off: `augmentation=None`, or strength 0, at which a batch comes back untouched.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainable.configuration.share_of_epochs import share_of_epochs
from trainable.techniques.augment import image_warp
from trainable.techniques.augment.augmentation_recipes import BLUR_REFERENCE_PX, AugmentationRecipe, get_recipe
from trainable.techniques.augment.augmentation_settings import check_ramp
from trainable.techniques.augment.batch_augmentation import RampedAugmentation, sent
from trainable.techniques.augment.contrastive_views import gaussian_blur
from trainable.techniques.augment.image_colour import jitter_colour
from trainable.techniques.augment.image_warp import box_masks
from trainable.techniques.augment.pixel_range import check_unit_range
from trainable.techniques.augment.random_operations import on_rows, random_operations

BEND_NODES = 5
"""Nodes of the bent grid along each side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageAugmentationConfig:
    """The recipe, and how its strength changes during training."""

    severity: str = "moderate"
    """One of RECIPES: light, moderate, aggressive, photograph, two_views."""
    initial_strength: float = 1.0
    """Strength until the ramp, in [0, max_strength]."""
    max_strength: float = 1.0
    """Strength after the ramp, in [0, 1]."""
    start_fraction: float = 0.0
    """Part of the planned epochs before the ramp, in [0, 1]."""
    ramp_fraction: float = 0.0
    """Part of the planned epochs that the ramp takes; start and ramp together are at most 1."""

    def __post_init__(self) -> None:
        get_recipe(self.severity)
        check_ramp(self.initial_strength, self.max_strength, self.start_fraction, self.ramp_fraction)

    def build(self, max_epochs: int, seed: int) -> "ImageAugmentation":
        """The augmentation of a training planned for `max_epochs`, with a random stream of its own."""
        generator = torch.Generator().manual_seed(seed)
        return ImageAugmentation(get_recipe(self.severity), generator=generator, schedule=self, max_epochs=max_epochs)


class ImageAugmentation(RampedAugmentation):
    """A recipe at a strength that follows the epoch.

    Args:
        generator: on the CPU, one for each process with a seed of its own.
        schedule: how the strength follows training; None is full strength throughout.
        max_epochs: the planned length that the schedule's fractions are of.
    """

    def __init__(
        self,
        recipe: AugmentationRecipe,
        *,
        generator: torch.Generator,
        schedule: ImageAugmentationConfig | None = None,
        max_epochs: int = 1,
    ) -> None:
        schedule = schedule or ImageAugmentationConfig()
        super().__init__(
            schedule.initial_strength,
            schedule.max_strength,
            share_of_epochs(schedule.start_fraction, max_epochs),
            share_of_epochs(schedule.ramp_fraction, max_epochs),
            generator=generator,
        )
        self.recipe = recipe

    def apply(self, images: Tensor, targets: Any) -> tuple[Tensor, Any]:
        """Returns changed images [B, 3, H, W] in [0, 1] and the same targets; never writes to the inputs."""
        if not self._has_seen_pixels:
            # Once, because reading pixels waits for the device.
            check_unit_range(images)
            self._has_seen_pixels = True
        if self.current_strength == 0:
            return images, targets
        return augment_images(images, self.recipe, strength=self.current_strength, generator=self.generator), targets


def augment_images(
    images: Tensor, recipe: AugmentationRecipe, *, strength: float, generator: torch.Generator
) -> Tensor:
    """Images [B, 3, H, W] in [0, 1] after a recipe at a strength in [0, 1], each with draws of its own."""
    draws = _Draws(len(images), strength, generator)
    changed, moves = random_operations(
        images, count=recipe.num_operations, magnitude=recipe.operation_magnitude * strength, generator=generator
    )
    moves = _moves(recipe, draws, images.shape[-1] / images.shape[-2]) @ moves
    bends = None
    if recipe.p_bend:
        nodes = 2.0 / (BEND_NODES - 1) * draws.around_zero(recipe.max_bend, 2, BEND_NODES, BEND_NODES)
        bent = draws.happens(recipe.p_bend)[:, None, None, None]
        bends = image_warp.bent_grid(nodes * bent, images.shape[-2:])
    changed = image_warp.warp(changed, moves, bends)
    changed = _recolour(changed, recipe, draws)
    blurred = draws.happens(recipe.p_blur).nonzero().squeeze(1)
    smallest, largest = recipe.blur_sigma_px
    sigma_px = draws.uniform(smallest, smallest + strength * (largest - smallest))[blurred]
    changed = on_rows(changed, blurred, gaussian_blur, sigma_px * min(images.shape[-2:]) / BLUR_REFERENCE_PX)
    return _cut_out(changed, recipe, draws)


@dataclass(frozen=True, slots=True)
class _Draws:
    """Random numbers for each image [B], scaled by the strength; how many are drawn never depends on what came out."""

    count: int
    strength: float
    generator: torch.Generator

    def happens(self, chance: float) -> Tensor:
        return self.uniform(0.0, 1.0) < chance * self.strength

    def around_zero(self, extent: float, *shape: int) -> Tensor:
        return extent * self.strength * self.uniform(-1.0, 1.0, *shape)

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(self.count, *shape, generator=self.generator)


def _moves(recipe: AugmentationRecipe, draws: _Draws, aspect: float) -> Tensor:
    lost_area = draws.strength * (1.0 - draws.uniform(*recipe.kept_area))
    affine = draws.happens(recipe.p_affine).float()
    return (
        image_warp.flip(draws.happens(recipe.p_flip))
        @ image_warp.crop((1.0 - lost_area).sqrt(), draws.uniform(-1.0, 1.0, 2), aspect)
        @ image_warp.rotation(draws.around_zero(recipe.max_rotation_degrees))
        @ image_warp.shear(affine * draws.around_zero(recipe.max_shear_degrees), torch.zeros(draws.count))
        @ image_warp.scaling(1.0 + affine * draws.around_zero(recipe.max_scale_change))
        @ image_warp.shift(
            affine * draws.around_zero(recipe.max_shift_share),
            affine * draws.around_zero(recipe.max_shift_share),
            aspect,
        )
    )


def _recolour(images: Tensor, recipe: AugmentationRecipe, draws: _Draws) -> Tensor:
    jittered, grey = draws.happens(recipe.p_jitter), draws.happens(recipe.p_grey)
    changes = (recipe.max_brightness_change, recipe.max_contrast_change, recipe.max_saturation_change)
    brightness, contrast, saturation = (1.0 + jittered * draws.around_zero(change) for change in changes)
    hue_turns = jittered * draws.around_zero(recipe.max_hue_turns)
    rows = (jittered | grey).nonzero().squeeze(1)
    factors = (values[rows] for values in (brightness, contrast, torch.where(grey, 0.0, saturation), hue_turns))
    return on_rows(images, rows, jitter_colour, *factors)


def _cut_out(images: Tensor, recipe: AugmentationRecipe, draws: _Draws) -> Tensor:
    cut = draws.happens(recipe.p_cutout)
    area, log_aspect = draws.uniform(*recipe.cutout_area), draws.uniform(-1.0, 1.0) * recipe.max_cutout_log_aspect
    middle = draws.uniform(0.0, 1.0, 2)
    if not cut.any():
        return images
    hidden = sent(box_masks(area * cut, middle, log_aspect, images.shape[-2:]), images)
    return torch.where(hidden, images.mean(dim=(2, 3), keepdim=True), images)
