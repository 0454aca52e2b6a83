"""Dirty variants of clean pictures: stains of food, light, medium or heavy, drawn onto what stands in the middle.

What: a stain is a soft disc whose outline a smooth random field tears up; it takes the light of what is below it, so
that shading and glare stay. Heavier dirt is more, larger and less transparent stains. The variants teach a classifier
that has few dirty pictures what dirt may look like; they resemble real leftovers and are none.
Source: own. Cost: a millisecond a picture of 64 px.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainable.data.drawing import textures

_FOOD_COLOURS = np.array(
    [(0.62, 0.16, 0.08), (0.36, 0.22, 0.10), (0.72, 0.52, 0.12), (0.30, 0.38, 0.12), (0.50, 0.34, 0.22)], np.float32
)
"""Tomato, gravy, mustard, herbs, crumbs."""
_COLOUR_SPREAD = 0.05
_TEAR_CYCLES = 5.0
_TEAR_DEPTH = 0.45
_EDGE_SHARPNESS = 9.0


@dataclass(frozen=True, slots=True)
class _Amount:
    num_stains: tuple[int, int]
    radius: tuple[float, float]
    """In shares of the picture's side."""
    opacity: tuple[float, float]


SEVERITIES = {
    "light": _Amount((1, 3), (0.03, 0.07), (0.30, 0.55)),
    "medium": _Amount((2, 5), (0.05, 0.11), (0.45, 0.75)),
    "heavy": _Amount((4, 8), (0.07, 0.16), (0.60, 0.95)),
}


def soil(
    image: NDArray[np.uint8],
    rng: np.random.Generator,
    *,
    severity: str,
    reach: float = 0.3,
) -> NDArray[np.uint8]:
    """A dirty variant of an image, uint8 (H, W, 3).

    Args:
        severity: one of SEVERITIES.
        reach: how far from the middle stains lie, in shares of the longer side.
    """
    amount, side, (height, width) = SEVERITIES[severity], max(image.shape), image.shape[:2]
    top, left = (side - height) // 2, (side - width) // 2
    picture: NDArray[np.floating] = image.astype(np.float32) / 255
    for _ in range(rng.integers(*amount.num_stains, endpoint=True)):
        angle, distance = rng.uniform(0, 2 * np.pi), reach * np.sqrt(rng.random())
        place = 0.5 + distance * np.cos(angle), 0.5 + distance * np.sin(angle)
        cover = rng.uniform(*amount.opacity) * _stain(rng, side, place, rng.uniform(*amount.radius))
        picture = cover_with(picture, cover[top : top + height, left : left + width], food_colour(rng))
    return np.round(255 * picture.clip(0, 1)).astype(np.uint8)


def cover_with(picture: NDArray[np.floating], cover: NDArray[np.floating], colour: NDArray[np.float32]) -> NDArray:
    """The picture (S, S, 3) under a layer of a colour, cover (S, S) in [0, 1]; the light below shows in the layer."""
    light = 0.5 + 0.5 * picture.mean(axis=2, keepdims=True)
    return picture + cover[..., None] * (colour * light - picture)


def food_colour(rng: np.random.Generator) -> NDArray[np.float32]:
    """One of a few colours of food, a little off, shape (3,)."""
    return (_FOOD_COLOURS[rng.integers(len(_FOOD_COLOURS))] + rng.normal(0, _COLOUR_SPREAD, 3)).astype(np.float32)


def _stain(rng: np.random.Generator, size_px: int, place: tuple[float, float], radius: float) -> NDArray[np.float32]:
    pixel = (np.arange(size_px, dtype=np.float32) + 0.5) / size_px
    distance = np.hypot(pixel[None, :] - place[0], pixel[:, None] - place[1]) / radius
    torn = distance + _TEAR_DEPTH * textures.blotches(rng, size_px, cycles=_TEAR_CYCLES)
    return 1 / (1 + np.exp((_EDGE_SHARPNESS * (torn - 1)).clip(-30, 30)))
