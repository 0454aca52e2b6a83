"""A few operations drawn for each image from a fixed list, all at one magnitude: the RandAugment idea.

What: each image gets `count` draws from OPERATIONS, with repetition; what has a sign gets a random one. Geometric
operations come back as moves to be resampled together with the others, tones are changed here.
Source: Cubuk et al., "RandAugment: Practical automated data augmentation with a reduced search space", 2020,
https://arxiv.org/abs/1909.13719; the ranges are the paper's at a magnitude of 1, without equalisation.
Cost: one pass over the images that drew an operation. Off: `count=0`.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from trainable.techniques.augment.batch_augmentation import sent
from trainable.techniques.augment.image_colour import jitter_colour, posterise, sharpen, solarise, spread_tones
from trainable.techniques.augment.image_warp import rotation, shear, shift

MAX_ROTATION_DEGREES = 30.0
MAX_SHEAR_DEGREES = 16.7
MAX_SHIFT_SHARE = 0.45
MAX_FACTOR_CHANGE = 0.9
FEWEST_LEVELS, MOST_LEVELS = 4, 256

TONE_OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": lambda images, signed: _jitter(images, brightness=signed),
    "contrast": lambda images, signed: _jitter(images, contrast=signed),
    "saturation": lambda images, signed: _jitter(images, saturation=signed),
    "sharpness": lambda images, signed: sharpen(images, MAX_FACTOR_CHANGE * signed),
    "posterise": lambda images, signed: posterise(
        # From all levels to a few, in equal steps of their logarithm.
        images,
        (MOST_LEVELS * (FEWEST_LEVELS / MOST_LEVELS) ** signed.abs()).round(),
    ),
    "solarise": lambda images, signed: solarise(images, 1.0 - signed.abs()),
    "tones": lambda images, signed: spread_tones(images, signed.abs()),
}
MOVE_OPERATIONS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "rotate": lambda signed, aspect: rotation(MAX_ROTATION_DEGREES * signed),
    "shear_x": lambda signed, aspect: shear(MAX_SHEAR_DEGREES * signed, torch.zeros_like(signed)),
    "shear_y": lambda signed, aspect: shear(torch.zeros_like(signed), MAX_SHEAR_DEGREES * signed),
    "shift_x": lambda signed, aspect: shift(MAX_SHIFT_SHARE * signed, torch.zeros_like(signed), aspect),
    "shift_y": lambda signed, aspect: shift(torch.zeros_like(signed), MAX_SHIFT_SHARE * signed, aspect),
}
OPERATIONS = (*TONE_OPERATIONS, *MOVE_OPERATIONS)


def random_operations(
    images: Tensor, *, count: int, magnitude: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Images [B, 3, H, W] in [0, 1] after their tone operations, and the moves [B, 3, 3] that they drew.

    Args:
        count: operations drawn for each image.
        magnitude: in [0, 1], of all of them.
        generator: on the CPU, whatever device the images are on.
    """
    moves = torch.eye(3).repeat(len(images), 1, 1)
    drawn = torch.randint(len(OPERATIONS), (count, len(images)), generator=generator)
    signed = magnitude * (2.0 * torch.randint(2, (count, len(images)), generator=generator) - 1.0)
    for chosen, strengths in zip(drawn, signed, strict=True):
        for index, name in enumerate(OPERATIONS):
            rows = (chosen == index).nonzero().squeeze(1)
            if len(rows) and name in MOVE_OPERATIONS:
                moves[rows] = moves[rows] @ MOVE_OPERATIONS[name](strengths[rows], images.shape[-1] / images.shape[-2])
            elif len(rows):
                images = on_rows(images, rows, TONE_OPERATIONS[name], strengths[rows])
    return images, moves


def on_rows(images: Tensor, rows: Tensor, change: Callable[..., Tensor], *values: Tensor) -> Tensor:
    """Changes the images of some rows in a copy; never writes to the input."""
    if len(rows) == 0:
        return images
    on_device = sent(rows, images)
    return images.index_copy(0, on_device, change(images.index_select(0, on_device), *values))


def _jitter(images: Tensor, **signed: Tensor) -> Tensor:
    none = torch.zeros(len(images))
    names = ("brightness", "contrast", "saturation")
    brightness, contrast, saturation = (1.0 + MAX_FACTOR_CHANGE * signed.get(name, none) for name in names)
    return jitter_colour(images, brightness, contrast, saturation, none)
