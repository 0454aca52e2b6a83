"""Pictures of plates, clean and dirty, few of them dirty, with exact labels. The embedded data of `dishes`.

A plate lies on a table, with a rim, a tint, a decoration, glare and shadow. A dirty one also bears leftovers: smears
along a wiped path, and crumbs. Decorations have the colours of food, and glare and shadow the outline of stains, so
that neither a colour nor a blob alone gives the dirt away. The leftovers are drawn otherwise than the dirty variants
of `dirt.py`, as real ones would be.

A plate depends on (config, split, index) alone, never on what was drawn before. About 2 ms a plate of 64 px.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainable.data.classes.labelled_images import LabelledSample, open_labelled, write_labelled
from trainable.data.drawing import dirt, textures
from trainable.data.drawing.dirt import cover_with, food_colour
from trainable.data.io.image_cache import cached_folder, drawing_key
from trainable.data.io.splits import SPLIT_NAMES, Splits

CLASS_NAMES = ("clean", "dirty")
_SMALLEST_SIDE_PX, _LARGEST_SIDE_PX = 32, 1024
_PLATE_RADIUS = (0.33, 0.45)
_INNER_SHARE = 0.68
"""Radius of the flat part of a plate, where leftovers lie."""
_STEPS_OF_A_SMEAR = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class PlateConfig:
    """How hard the plates are and how many there are."""

    plate_size_px: int = 64
    """Side of the square pictures, 32 to 1024."""
    dirty_share: float = 0.2
    """Share of dirty plates in every split, above 0 and below 1."""
    dirt_contrast: float = 0.9
    """Opacity of the leftovers, above 0 to 1; 0.5 is hard to see."""
    decoration_chance: float = 0.5
    """Chance of a decoration, which looks like dirt to who knows only colours, 0 to 1."""
    noise: float = 0.03
    """Standard deviation of the pixel noise, 0 to 0.3 of the full range."""
    num_train: int = 240
    """Plates to train on, at least 10."""
    num_validation: int = 400
    """Plates to compare configurations on, at least 10."""
    num_test: int = 400
    """Plates that a search never opens, at least 10."""
    plate_seed: int = 0
    """Another seed is another data set, 0 or more."""

    def __post_init__(self) -> None:
        if not _SMALLEST_SIDE_PX <= self.plate_size_px <= _LARGEST_SIDE_PX:
            raise ValueError(f"plate_size_px is {self.plate_size_px}; give {_SMALLEST_SIDE_PX} to {_LARGEST_SIDE_PX}.")
        for name in ("num_train", "num_validation", "num_test"):
            if getattr(self, name) < 10:
                raise ValueError(f"{name} is {getattr(self, name)}; give 10 or more.")
        if not 0 < self.dirty_share < 1:
            raise ValueError(f"dirty_share is {self.dirty_share}; it must lie between 0 and 1, both left out.")
        if not 0 < self.dirt_contrast <= 1:
            raise ValueError(f"dirt_contrast is {self.dirt_contrast}; it must lie above 0, up to 1.")
        if not 0 <= self.decoration_chance <= 1:
            raise ValueError(f"decoration_chance is {self.decoration_chance}; it must lie between 0 and 1.")
        if not 0 <= self.noise <= 0.3:
            raise ValueError(f"noise is {self.noise}; it must lie between 0 and 0.3.")
        if self.plate_seed < 0:
            raise ValueError(f"plate_seed is {self.plate_seed}; it must be 0 or more.")


def plate_splits(config: PlateConfig, cache_dir: Path, on_progress: Callable[[int, int], None] | None = None) -> Splits:
    """The three splits of this configuration, drawn once and memory-mapped from then on.

    Args:
        on_progress: called with (plates drawn, plates in all) while they are drawn.
    """
    counts = (config.num_train, config.num_validation, config.num_test)
    drawn = itertools.count(1)

    def plates(split: str, stream: int, count: int) -> Iterator[LabelledSample]:
        for index in range(count):
            rng = np.random.default_rng(np.random.SeedSequence(config.plate_seed, spawn_key=(stream, index)))
            # The dirty ones stand evenly among the others, so that every split has its share of them.
            is_dirty = int((index + 1) * config.dirty_share) > int(index * config.dirty_share)
            name = f"{split}/{CLASS_NAMES[is_dirty]}/plate_{index:04d}"
            plate = LabelledSample(name=name, image=draw_plate(config, rng, is_dirty=is_dirty), label=int(is_dirty))
            if on_progress is not None:
                on_progress(next(drawn), sum(counts))
            yield plate

    def build(folder: Path) -> None:
        numbered = enumerate(zip(SPLIT_NAMES, counts, strict=True))
        samples = {split: plates(split, stream, count) for stream, (split, count) in numbered}
        write_labelled(folder, samples, (config.plate_size_px,) * 2, CLASS_NAMES)

    key = drawing_key("plates", config, __file__, dirt.__file__, textures.__file__)
    return open_labelled(cached_folder(key, cache_dir, build, needed_bytes=4 * sum(counts) * 64**2))


def draw_plate(config: PlateConfig, rng: np.random.Generator, *, is_dirty: bool) -> NDArray[np.uint8]:
    """One picture, uint8 (S, S, 3)."""
    size = config.plate_size_px
    centre, radius = rng.uniform(0.46, 0.54, 2), rng.uniform(*_PLATE_RADIUS)
    pixel = (np.arange(size, dtype=np.float32) + 0.5) / size
    across, down = np.meshgrid(pixel - centre[0], pixel - centre[1])
    distance, angle = np.hypot(across, down) / radius, np.arctan2(down, across)
    picture = _plate_on_table(rng, distance)
    if rng.random() < config.decoration_chance:
        picture = cover_with(picture, _decoration(rng, distance, angle), food_colour(rng))
    picture = _with_light(rng, picture, across, down, radius)
    if is_dirty:
        for _ in range(rng.integers(2, 4, endpoint=True)):
            cover = config.dirt_contrast * rng.uniform(0.6, 1.0) * _smear(rng, across, down, radius)
            picture = cover_with(picture, cover, food_colour(rng))
        places = range(rng.integers(2, 8, endpoint=True))
        crumbs = [_spot(across, down, _inner_place(rng, radius), rng.uniform(0.012, 0.022)) for _ in places]
        picture = cover_with(picture, config.dirt_contrast * np.max(crumbs, axis=0), food_colour(rng))
    picture = picture + config.noise * rng.standard_normal(picture.shape, dtype=np.float32)
    return np.round(255 * picture.clip(0, 1)).astype(np.uint8)


def _plate_on_table(rng: np.random.Generator, distance: NDArray) -> NDArray[np.float32]:
    grain = textures.stripes(rng, len(distance), cycles=rng.uniform(4, 9), direction=rng.uniform(0, np.pi))
    wood = rng.uniform(0.2, 0.6) * (1 + rng.uniform(-0.3, 0.3, 3))
    table = (wood + rng.uniform(0.01, 0.05) * grain[..., None]).astype(np.float32)
    colour = rng.uniform(0.7, 0.95) * (1 + rng.uniform(-0.08, 0.08, 3))
    rim = -rng.uniform(0.03, 0.12) * np.exp(-(((distance - _INNER_SHARE - 0.06) / 0.05) ** 2))
    return np.where(distance[..., None] < 1, colour + rim[..., None], table).astype(np.float32)


def _decoration(rng: np.random.Generator, distance: NDArray, angle: NDArray) -> NDArray[np.float32]:
    """A ring around the rim, or as many dots as petals, at regular angles."""
    place, width = rng.uniform(0.3, 0.9), rng.uniform(0.03, 0.08)
    ring = np.exp(-(((distance - place) / width) ** 2))
    if rng.random() < 0.5:
        petals, phase = rng.integers(3, 9), rng.uniform(0, 2 * np.pi)
        ring = ring * (np.cos(petals * angle + phase) > 0.3)
    return (rng.uniform(0.3, 0.9) * ring * (distance < 0.97)).astype(np.float32)


def _with_light(rng: np.random.Generator, picture: NDArray, across: NDArray, down: NDArray, radius: float) -> NDArray:
    """A soft gradient over the picture, and two spots on the plate, one brighter and one darker."""
    direction, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.3)
    picture = picture * (1 + slope * (across * np.cos(direction) + down * np.sin(direction)))[..., None]
    for strength in (rng.uniform(0, 0.3), -rng.uniform(0, 0.25)):
        spot = _spot(across, down, _inner_place(rng, radius), rng.uniform(0.04, 0.12))
        picture = picture + strength * spot[..., None]
    return picture


def _smear(rng: np.random.Generator, across: NDArray, down: NDArray, radius: float) -> NDArray[np.float32]:
    """Overlapping spots along a bent path, thinner towards its end."""
    place, direction = _inner_place(rng, radius), rng.uniform(0, 2 * np.pi)
    bend, width = rng.uniform(-0.25, 0.25), rng.uniform(0.025, 0.06)
    cover = np.zeros_like(across)
    for step in range(_STEPS_OF_A_SMEAR):
        left = 1 - step / _STEPS_OF_A_SMEAR
        cover = np.maximum(cover, rng.uniform(0.5, 1) * left * _spot(across, down, place, width * (0.4 + 0.6 * left)))
        place = place + 0.7 * width * np.array([np.cos(direction), np.sin(direction)])
        direction += bend + rng.normal(0, 0.15)
    inside = np.hypot(across, down) < 0.95 * radius
    return cover * inside


def _spot(across: NDArray, down: NDArray, place: NDArray, width: float) -> NDArray[np.float32]:
    return np.exp(-((across - place[0]) ** 2 + (down - place[1]) ** 2) / (2 * width**2)).astype(np.float32)


def _inner_place(rng: np.random.Generator, radius: float) -> NDArray[np.float64]:
    """Somewhere on the flat part of the plate, measured from its middle."""
    angle, distance = rng.uniform(0, 2 * np.pi), _INNER_SHARE * radius * np.sqrt(rng.random())
    return distance * np.array([np.cos(angle), np.sin(angle)])
