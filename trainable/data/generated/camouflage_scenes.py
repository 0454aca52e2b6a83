"""Camouflaged scenes of unlimited number: textured objects on the same texture, with exact masks. The embedded data.

Every scene holds two blobs, one of finer and one of coarser texture than their ground. In even domains the finer one
is the object and the other a decoy, in odd domains the coarser one; only the colour of the scene tells its domain. A
network that sees standardised images and has one expert must guess which blob is meant: the set is built to need
routing, and proves nothing about real images.

A scene depends on (config, split, index) alone, never on what was drawn before. About 3 ms a scene of 96 px.
`python -m trainable.data.generated.scene_picture OUT.png` draws a sample.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainable.data.drawing import textures
from trainable.data.image_mask.image_mask_set import ImageMaskSet, Sample, open_splits, write_splits
from trainable.data.io.image_cache import cached_folder, drawing_key
from trainable.data.io.splits import SPLIT_NAMES, Splits

_FRESH_STREAM = len(SPLIT_NAMES)
_WHOLE_NUMBERS = {
    "image_size_px": (48, 1024),
    "num_domains": (1, 12),
    "num_train": (1, None),
    "num_validation": (1, None),
    "num_test": (1, None),
    "seed": (0, None),
}
_LARGEST_NUMBERS = {"texture_gap": 1.5, "colour_gap": 0.3, "noise": 0.3}
_GROUND_CYCLES = (7.0, 10.0)
_TEXTURE_CONTRAST = (0.12, 0.16)
_MOTTLE_CONTRAST = 0.03
_CHROMA = 0.24
# Without a little light that goes with the rule, three of nine runs never found out that colour matters.
_LIGHT_OF_EVEN_DOMAINS = 0.06
_LIGHT_SPREAD, _CAST_SPREAD, _HUE_SPREAD = 0.03, 0.02, 0.02
_BLOB_RADIUS = (0.10, 0.24)
_NUM_BLOB_WAVES = 5
_NUM_BLOB_ANGLES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneConfig:
    """How hard the scenes are and how many there are. The sizes of things follow the image, not the pixel."""

    image_size_px: int = 96
    """Side of the square images, 48 to 1024."""
    num_domains: int = 4
    """Visual domains, 1 to 12, even and odd ones with opposite rules; 1 needs no routing."""
    texture_gap: float = 0.8
    """How many times finer or coarser than its ground a blob is, less one: 0 (nothing to see) to 1.5; 0.4 is hard."""
    colour_gap: float = 0.03
    """Length of the random colour shift of a blob, 0 to 0.3 of the full range."""
    noise: float = 0.03
    """Standard deviation of the pixel noise, 0 to 0.3 of the full range."""
    num_train: int = 240
    """Scenes to train on, at least 1."""
    num_validation: int = 80
    """Scenes to compare configurations on, at least 1."""
    num_test: int = 120
    """Scenes that a search never opens, at least 1."""
    seed: int = 0
    """Another seed is another data set, 0 or more."""

    def __post_init__(self) -> None:
        for name, (low, high) in _WHOLE_NUMBERS.items():
            _require_whole_number(name, getattr(self, name), low, high)
        for name, largest in _LARGEST_NUMBERS.items():
            value = getattr(self, name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= largest:
                raise ValueError(f"{name} is {value!r}; give a number from 0 to {largest}.")


def scene_splits(config: SceneConfig, cache_dir: Path, on_progress: Callable[[int, int], None] | None = None) -> Splits:
    """The three splits of this configuration, drawn once and memory-mapped from then on.

    Args:
        on_progress: called with (scenes drawn, scenes in all) while they are drawn.
    """
    counts = dict(zip(SPLIT_NAMES, (config.num_train, config.num_validation, config.num_test), strict=True))
    total, drawn = sum(counts.values()), itertools.count(1)

    def tell(scene: Sample) -> Sample:
        if on_progress is not None:
            on_progress(next(drawn), total)
        return scene

    def build(folder: Path) -> None:
        samples = {
            split: map(tell, _scenes(config, split, (stream,), counts[split]))
            for stream, split in enumerate(SPLIT_NAMES)
        }
        write_splits(folder, samples, (config.image_size_px, config.image_size_px))

    key = drawing_key("scenes", config, __file__, textures.__file__)
    return open_splits(cached_folder(key, cache_dir, build, needed_bytes=5 * total * config.image_size_px**2))


def fresh_scenes(config: SceneConfig, seed: int, count: int) -> ImageMaskSet:
    """Scenes like those of `config` that are in none of its splits; every seed has its own, as many as wanted."""
    _require_whole_number("seed", seed, 0, None)
    _require_whole_number("count", count, 1, None)
    scenes = list(_scenes(config, f"fresh{seed}", (_FRESH_STREAM, seed), count))
    return ImageMaskSet.of_arrays(
        np.stack([scene.image for scene in scenes]),
        np.stack([scene.mask for scene in scenes]),
        [scene.name for scene in scenes],
    )


def _scenes(config: SceneConfig, label: str, stream: tuple[int, ...], count: int) -> Iterator[Sample]:
    for index in range(count):
        rng = np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(*stream, index)))
        domain = index % config.num_domains
        image, mask = _draw_scene(config, rng, domain)
        yield Sample(name=f"{label}_{index:04d}_domain{domain}", image=image, mask=mask)


def _draw_scene(
    config: SceneConfig, rng: np.random.Generator, domain: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draws the same numbers whatever the difficulty, so that one scene can be seen getting harder."""
    object_blob, decoy_blob = _two_blobs(rng, config.image_size_px)
    where = np.where(object_blob, 1, np.where(decoy_blob, 2, 0))
    cycles = rng.uniform(*_GROUND_CYCLES)
    has_stripes, direction = rng.random() < 0.5, rng.uniform(0, np.pi)
    texture = partial(textures.stripes, direction=direction) if has_stripes else textures.blotches
    finer, coarser = cycles * (1 + config.texture_gap), cycles / (1 + config.texture_gap)
    blob_cycles = (finer, coarser) if domain % 2 == 0 else (coarser, finer)
    shade = np.choose(where, [texture(rng, config.image_size_px, cycles=value) for value in (cycles, *blob_cycles)])
    colour = _colours(rng, domain, config)[where]
    image = colour + rng.uniform(*_TEXTURE_CONTRAST) * shade[..., None] + _mottle(rng, config.image_size_px, cycles)
    image += config.noise * rng.standard_normal(image.shape, dtype=np.float32)
    return np.round(255 * image.clip(0, 1)).astype(np.uint8), object_blob.astype(np.uint8)


def _colours(rng: np.random.Generator, domain: int, config: SceneConfig) -> NDArray[np.float32]:
    """Colours of ground, object and decoy, shape (3, 3); the latter two are each shifted in their own direction.

    Hues go once around the circle, neighbours with opposite rules: by hue, no straight line divides the rules. A linear
    router therefore wants an expert for every domain.
    """
    hue = domain / config.num_domains + rng.normal(0, _HUE_SPREAD)
    light = 0.5 + _LIGHT_OF_EVEN_DOMAINS * (1 if domain % 2 == 0 else -1) + rng.normal(0, _LIGHT_SPREAD)
    cast = rng.normal(0, _CAST_SPREAD, 3)
    ground = (light + _CHROMA * np.cos(2 * np.pi * (hue - np.arange(3) / 3)) + cast).astype(np.float32)
    shifts = rng.standard_normal((2, 3))
    shifts *= config.colour_gap / np.linalg.norm(shifts, axis=1, keepdims=True)
    return ground + np.concatenate([np.zeros((1, 3)), shifts]).astype(np.float32)


def _mottle(rng: np.random.Generator, size_px: int, cycles: float) -> NDArray[np.float32]:
    """Spots of colour without light, so that a blob's colour shift does not stand out on an even hue."""
    first, second = (textures.blotches(rng, size_px, cycles=cycles)[..., None] for _ in range(2))
    axes = np.array([[1, -1, 0], [1, 1, -2]], np.float32)
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    return _MOTTLE_CONTRAST * (first * axes[0] + second * axes[1])


def _two_blobs(rng: np.random.Generator, size_px: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Object and decoy on opposite sides of the middle and alike in all but their order: position gives no hint."""
    angle = rng.uniform(0, 2 * np.pi)
    towards = np.array([np.cos(angle), np.sin(angle)])
    centres = [0.5 + side * rng.uniform(0.2, 0.3) * towards + rng.uniform(-0.07, 0.07, 2) for side in (1, -1)]
    first, second = (_star_shaped_blob(rng, size_px, centre, rng.uniform(*_BLOB_RADIUS)) for centre in centres)
    return first, second


def _star_shaped_blob(
    rng: np.random.Generator, size_px: int, centre: NDArray[np.float64], mean_radius: float
) -> NDArray[np.bool_]:
    """Inside r(angle) = mean_radius * (1 + a few random waves), everything in fractions of the side."""
    wave = np.arange(1, _NUM_BLOB_WAVES + 1)[:, None]
    amplitude, phase = rng.normal(0, 0.28 / wave), rng.uniform(0, 2 * np.pi, wave.shape)
    angles = np.linspace(0, 2 * np.pi, _NUM_BLOB_ANGLES, endpoint=False)
    radii = mean_radius * (1 + (amplitude * np.cos(wave * angles + phase)).sum(axis=0)).clip(0.35, 1.9)
    pixel = (np.arange(size_px) + 0.5) / size_px
    across, down = pixel[None, :] - centre[0], pixel[:, None] - centre[1]
    return np.hypot(across, down) < np.interp(np.arctan2(down, across), angles, radii, period=2 * np.pi)


def _require_whole_number(name: str, value: object, low: int, high: int | None) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < low or (high is not None and value > high):
        allowed = f"{low} or more" if high is None else f"{low} to {high}"
        raise ValueError(f"{name} is {value!r}; give a whole number, {allowed}.")
