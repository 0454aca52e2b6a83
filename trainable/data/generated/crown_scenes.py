"""Farmed forest from the air, drawn: overlapping crowns of three kinds on four kinds of ground. The embedded data.

Cacao is small and dark, shade trees are large and mottled, palms are stars of fronds; taller crowns hide lower ones
and throw a shadow. A mask is what is seen of a crown, exact to the pixel; a crown that is almost hidden is not drawn.
Colours of kinds overlap, so that texture and shape have to be learned. It proves nothing about real photographs.

A tile depends on (config, split, index) alone. About 4 ms for a tile of 64 px.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainable.data.crowns.crown_set import Crown, Tile, open_tiles, write_tiles
from trainable.data.drawing import textures
from trainable.data.io.image_cache import cached_folder, drawing_key
from trainable.data.io.splits import SPLIT_NAMES, Splits

SEMANTIC_CLASSES = ("grass", "soil", "water", "shadow", "cacao canopy", "tall canopy")
_SHADOW, _CACAO_CANOPY, _TALL_CANOPY = 3, 4, 5
_LARGEST_NOISE = 0.3
_MIN_SEEN_PX, _MIN_SEEN_SHARE = 20, 0.4
_GROUND_COLOURS = np.array([[0.42, 0.52, 0.28], [0.55, 0.43, 0.32], [0.20, 0.30, 0.38]])
_SHADOW_LIGHT = 0.55
_SHADOW_SHIFT = 0.035


@dataclass(frozen=True, slots=True)
class _Kind:
    """Appearance of a kind of crown; lengths as shares of the tile's side."""

    name: str
    radius: tuple[float, float]
    colour: tuple[float, float, float]
    cycles: float
    """Spots across the tile."""
    contrast: float
    num_fronds: int
    """0 is a round crown."""


_KINDS = (
    _Kind("cacao", (0.06, 0.09), (0.20, 0.36, 0.16), 14.0, 0.05, 0),
    _Kind("shade tree", (0.12, 0.19), (0.26, 0.42, 0.20), 7.0, 0.10, 0),
    _Kind("palm", (0.09, 0.13), (0.30, 0.44, 0.20), 10.0, 0.05, 7),
)
KIND_NAMES = tuple(kind.name for kind in _KINDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrownSceneConfig:
    """How many tiles there are and how hard they are."""

    tile_px: int = 64
    """Side of the tiles, a multiple of 16 from 48 to 512."""
    mean_crowns: float = 7.0
    """Crowns that are tried for a tile on average, 1 to 40."""
    noise: float = 0.04
    """Standard deviation of the pixel noise, 0 to 0.3 of the full range."""
    num_train: int = 72
    num_validation: int = 24
    num_test: int = 48
    seed: int = 0
    """Another seed is another data set, 0 or more."""

    def __post_init__(self) -> None:
        if not 48 <= self.tile_px <= 512 or self.tile_px % 16:
            raise ValueError(f"tile_px is {self.tile_px}; give a multiple of 16 from 48 to 512.")
        if not 1 <= self.mean_crowns <= 40:
            raise ValueError(f"mean_crowns is {self.mean_crowns}; give a number from 1 to 40.")
        if not 0 <= self.noise <= _LARGEST_NOISE:
            raise ValueError(f"noise is {self.noise}; give a number from 0 to {_LARGEST_NOISE}.")
        for name, low in (("num_train", 1), ("num_validation", 1), ("num_test", 1), ("seed", 0)):
            if getattr(self, name) < low:
                raise ValueError(f"{name} is {getattr(self, name)}; give {low} or more.")


def crown_scene_splits(
    config: CrownSceneConfig, cache_dir: Path, on_progress: Callable[[int, int], None] | None = None
) -> Splits:
    """The three splits of this configuration, drawn once and memory-mapped from then on."""
    counts = dict(zip(SPLIT_NAMES, (config.num_train, config.num_validation, config.num_test), strict=True))
    total, drawn = sum(counts.values()), itertools.count(1)

    def tiles(split: str) -> Iterator[Tile]:
        for index in range(counts[split]):
            yield draw_tile(config, split, index)
            if on_progress is not None:
                on_progress(next(drawn), total)

    def build(folder: Path) -> None:
        write_tiles(
            folder, {split: tiles(split) for split in SPLIT_NAMES}, kinds=KIND_NAMES, semantic_classes=SEMANTIC_CLASSES
        )

    key = drawing_key("crowns", config, __file__, textures.__file__)
    return open_tiles(cached_folder(key, cache_dir, build, needed_bytes=5 * total * config.tile_px**2))


def draw_tile(config: CrownSceneConfig, split: str, index: int) -> Tile:
    """One tile of a split."""
    stream = SPLIT_NAMES.index(split)
    rng = np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(stream, index)))
    size_px, shift = config.tile_px, max(1, round(_SHADOW_SHIFT * config.tile_px))
    image, semantic = _ground(rng, size_px)
    crowns, annotated = [], []
    for kind, seen in _place(rng, config):
        shadow = np.zeros_like(seen)
        shadow[shift:, shift:] = seen[:-shift, :-shift]
        shadow &= (semantic < _SHADOW) & ~seen
        image[shadow] *= _SHADOW_LIGHT
        semantic[shadow] = _SHADOW
        crowns.append((kind, seen))
        rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        left, top, right, bottom = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
        mask = seen[top:bottom, left:right]
        annotated.append(Crown(label=kind + 1, box=(left, top, right, bottom), mask=mask))
    for kind, seen in crowns:
        look = _KINDS[kind]
        light = 1 + rng.normal(0, 0.12) + look.contrast / 0.3 * textures.blotches(rng, size_px, cycles=look.cycles)
        colours = (np.array(look.colour) + rng.normal(0, 0.02, 3)) * light[..., None]
        image[seen] = colours[seen]
        semantic[seen] = _CACAO_CANOPY if kind == 0 else _TALL_CANOPY
    image += config.noise * rng.standard_normal(image.shape)
    pixels = np.round(255 * image.clip(0, 1)).astype(np.uint8)
    return Tile(name=f"{split}_{index:04d}", image=pixels, crowns=tuple(annotated), semantic=semantic)


def _ground(rng: np.random.Generator, size_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Grass with patches of soil and water: colours (S, S, 3) and classes (S, S)."""
    patches, wet = (textures.blotches(rng, size_px, cycles=cycles) for cycles in (2.0, 1.2))
    semantic = np.where(wet > 0.85, 2, np.where(patches > 0.55, 1, 0)).astype(np.uint8)
    light = 1 + 0.12 * textures.blotches(rng, size_px, cycles=12.0) + rng.normal(0, 0.06)
    return _GROUND_COLOURS[semantic] * light[..., None], semantic


def _place(rng: np.random.Generator, config: CrownSceneConfig) -> Iterator[tuple[int, np.ndarray]]:
    """Kind and visible pixels of each crown; shade trees stand above palms, and palms above cacao."""
    tried = [_shape(rng, config.tile_px) for _ in range(1 + rng.poisson(config.mean_crowns - 1))]
    covered = np.zeros((config.tile_px, config.tile_px), bool)
    for kind, shape in sorted(tried, key=lambda one: -_KINDS[one[0]].radius[1]):
        seen = shape & ~covered
        if seen.sum() >= max(_MIN_SEEN_PX, _MIN_SEEN_SHARE * shape.sum()):
            covered |= shape
            yield kind, seen


def _shape(rng: np.random.Generator, size_px: int) -> tuple[int, np.ndarray]:
    """A kind, and the pixels that a crown of it would cover."""
    kind = int(rng.choice(len(_KINDS), p=(0.5, 0.25, 0.25)))
    centre, radius = rng.uniform(0.03, 0.97, 2), rng.uniform(*_KINDS[kind].radius)
    pixel = (np.arange(size_px) + 0.5) / size_px
    across, down = pixel[None, :] - centre[0], pixel[:, None] - centre[1]
    angle, turn = np.arctan2(down, across), rng.uniform(0, 2 * np.pi)
    fronds = _KINDS[kind].num_fronds
    wave = 0.35 * np.cos(fronds * angle + turn) if fronds else 0.12 * np.cos(3 * angle + turn)
    return kind, np.hypot(across, down) < radius * (1 + wave)
