"""Embedded pictures of leaves: five conditions that differ in the pattern of their lesions and in little else.

What: a blade with veins on a mottled ground, in light, greens, place and direction of their own. Lesions are solid
spots, hollow rings, streaks along the blade, or a mosaic without edges; a healthy leaf has none, and every leaf may
carry specks of dirt. Their colour is drawn for each leaf and says nothing, so that a mean colour does not tell the
conditions apart. A few leaves are labelled; many more are not, for pre-training.
Deterministic: a picture depends on (seed, split, index) alone. About 2 ms a picture of 48 px.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainable.data.classes.labelled_images import MISSING, LabelledSample, open_labelled, write_labelled
from trainable.data.drawing import textures
from trainable.data.io.image_cache import cached_folder, drawing_key
from trainable.data.io.splits import SPLIT_NAMES, Splits

CONDITIONS = ("healthy", "mosaic", "rings", "spots", "streaks")
_UNLABELLED_STREAM = len(SPLIT_NAMES)
_SOFTNESS = 0.035
_LESION_RADIUS = {"spots": (0.08, 0.11), "rings": (0.13, 0.18), "streaks": (0.05, 0.07)}
_NUM_LESIONS = {"spots": (12, 18), "rings": (8, 12), "streaks": (10, 14)}
_STREAK_LENGTH = 3.5

Plane = NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafPictureConfig:
    """How many pictures there are and how hard they are."""

    picture_px: int = 48
    """Side of the square pictures, 32 to 512."""
    num_train: int = 60
    """Labelled leaves to train on, at least one of each condition."""
    num_unlabelled: int = 300
    """Further leaves without a label, for pre-training, 0 or more."""
    num_validation: int = 120
    """Leaves to compare configurations on."""
    num_test: int = 300
    """Leaves that a search never opens."""
    lesion_contrast: float = 0.3
    """How much darker or lighter a lesion is than its leaf, above 0 and at most 1."""
    pixel_noise: float = 0.03
    """Standard deviation of the pixel noise, 0 to 0.3 of the full range."""
    picture_seed: int = 0
    """Another seed is another data set, 0 or more."""

    def __post_init__(self) -> None:
        if not 32 <= self.picture_px <= 512:
            raise ValueError(f"picture_px is {self.picture_px}; it must be from 32 to 512.")
        for name in ("num_train", "num_validation", "num_test"):
            if getattr(self, name) < len(CONDITIONS):
                raise ValueError(f"{name} is {getattr(self, name)}; give at least one leaf for each of {CONDITIONS}.")
        for name in ("num_unlabelled", "picture_seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 0 or more.")
        if not 0 < self.lesion_contrast <= 1:
            raise ValueError(f"lesion_contrast is {self.lesion_contrast}; it must lie in (0, 1].")
        if not 0 <= self.pixel_noise <= 0.3:
            raise ValueError(f"pixel_noise is {self.pixel_noise}; it must lie between 0 and 0.3.")


def leaf_splits(
    config: LeafPictureConfig, cache_dir: Path, on_progress: Callable[[int, int], None] | None = None
) -> Splits:
    """The three splits, drawn once and memory-mapped from then on; the leaves without a label end the training split.

    Args:
        on_progress: called with (leaves drawn, leaves in all) while they are drawn.
    """
    counts = dict(zip(SPLIT_NAMES, (config.num_train, config.num_validation, config.num_test), strict=True))
    total, drawn = sum(counts.values()) + config.num_unlabelled, itertools.count(1)

    def leaves(label: str, stream: int, count: int, *, labelled: bool = True) -> Iterator[LabelledSample]:
        for index in range(count):
            rng = np.random.default_rng(np.random.SeedSequence(config.picture_seed, spawn_key=(stream, index)))
            condition = index % len(CONDITIONS)
            image = draw_leaf(config, rng, CONDITIONS[condition])
            if on_progress is not None:
                on_progress(next(drawn), total)
            yield LabelledSample(name=f"{label}_{index:04d}", image=image, label=condition if labelled else MISSING)

    def build(folder: Path) -> None:
        samples = {split: leaves(split, stream, counts[split]) for stream, split in enumerate(SPLIT_NAMES)}
        unlabelled = leaves("unlabelled", _UNLABELLED_STREAM, config.num_unlabelled, labelled=False)
        samples["train"] = itertools.chain(samples["train"], unlabelled)
        write_labelled(folder, samples, (config.picture_px, config.picture_px), CONDITIONS)

    key = drawing_key("leaves", config, __file__, textures.__file__)
    return open_labelled(cached_folder(key, cache_dir, build, needed_bytes=4 * total * config.picture_px**2))


def draw_leaf(config: LeafPictureConfig, rng: np.random.Generator, condition: str) -> NDArray[np.uint8]:
    """One picture, shape (picture_px, picture_px, 3)."""
    along, across = _leaf_coordinates(rng, config.picture_px)
    blade = _inside(0.55 * rng.uniform(0.9, 1.1) * (1 - np.minimum(np.abs(along), 1) ** 2.2) - np.abs(across))
    green = np.array([0.3, 0.5, 0.22], np.float32) * rng.uniform(0.8, 1.25) + rng.normal(0, 0.03, 3).astype(np.float32)
    side_veins = np.sin(2 * np.pi * rng.uniform(3, 5) * (along - rng.uniform(0.6, 1.2) * np.abs(across)))
    veins = np.exp(-((across / 0.03) ** 2)) + 0.35 * side_veins.clip(0, 1) ** 4
    leaf = green * (1 + 0.18 * veins)[..., None]
    lesions = _lesions(rng, condition, along, across)
    # Dirt: a few specks that say nothing.
    if num_specks := int(rng.integers(0, 4)):
        lesions = lesions + _inside(-_nearest(rng, along, across, num_specks, (0.03, 0.08), False))
    shade = config.lesion_contrast * rng.uniform(0.7, 1.3)
    # Darker or lighter, of any hue: the direction in which a lesion leaves its leaf's colour.
    lesion_colour = (rng.choice((-1.0, 1.0)) * (1 + rng.normal(0, 0.35, 3))).astype(np.float32)
    leaf = leaf + shade * lesions.clip(0, 1)[..., None] * lesion_colour
    mottle = textures.blotches(rng, config.picture_px, cycles=rng.uniform(3, 9))[..., None]
    ground = np.array([0.42, 0.35, 0.28], np.float32) * rng.uniform(0.7, 1.2) + 0.03 * mottle
    picture = ground * (1 - blade[..., None]) + leaf * blade[..., None]
    picture = picture * rng.uniform(0.8, 1.2) + config.pixel_noise * rng.standard_normal(picture.shape)
    return np.round(255 * picture.clip(0, 1)).astype(np.uint8)


def _leaf_coordinates(rng: np.random.Generator, size_px: int) -> tuple[Plane, Plane]:
    """Along and across the blade, which reaches from -1 to 1."""
    pixel = (2 * np.arange(size_px, dtype=np.float32) + 1) / size_px - 1
    across, down = np.meshgrid(pixel, pixel)
    across, down = across - rng.uniform(-0.15, 0.15), down - rng.uniform(-0.15, 0.15)
    angle, size = rng.uniform(0, 2 * np.pi), rng.uniform(1.15, 1.4)
    cosine, sine = np.cos(angle) / size, np.sin(angle) / size
    return cosine * across + sine * down, cosine * down - sine * across


def _lesions(rng: np.random.Generator, condition: str, along: Plane, across: Plane) -> Plane:
    if condition == "healthy":
        return np.zeros_like(along)
    if condition == "mosaic":
        return 0.5 * (1 + textures.blotches(rng, len(along), cycles=rng.uniform(4, 6)))
    low, high = _NUM_LESIONS[condition]
    distance = _nearest(
        rng, along, across, int(rng.integers(low, high)), _LESION_RADIUS[condition], condition == "streaks"
    )
    return _inside(0.035 - np.abs(distance)) if condition == "rings" else _inside(-distance)


def _nearest(
    rng: np.random.Generator, along: Plane, across: Plane, number: int, radius: tuple[float, float], stretched: bool
) -> Plane:
    """Distance to the edge of the nearest of some random lesions, below 0 inside."""
    places = rng.uniform((-0.85, -0.42), (0.85, 0.42), (number, 2)).astype(np.float32)
    radii = rng.uniform(*radius, number).astype(np.float32)[:, None, None]
    stretch = _STREAK_LENGTH if stretched else 1.0
    steps_along = (along - places[:, 0, None, None]) / stretch
    steps_across = across - places[:, 1, None, None]
    return (np.hypot(steps_along, steps_across) - radii).min(axis=0)


def _inside(depth: Plane) -> Plane:
    """1 inside, 0 outside, soft at the edge."""
    return (0.5 + depth / _SOFTNESS).clip(0, 1)
