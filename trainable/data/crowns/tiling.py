"""Large pictures cut into tiles that reach into each other, with the crowns and classes that lie on each."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from trainable.data.annotations.objects.rasterising import box_on_picture, rasterise
from trainable.data.annotations.objects.shapes import ObjectShape
from trainable.data.crowns.crown_set import VOID, Crown, Tile
from trainable.data.io.decoding import shrink_image

MIN_SEEN_PX, MIN_SEEN_SHARE = 16, 0.3
"""A crown that a tile's edge leaves less of than this belongs to the neighbouring tile alone."""


def tile_starts(length_px: int, tile_px: int, overlap_px: int) -> list[int]:
    """Where tiles begin along one side: evenly, the last flush with the end; one tile when the side is shorter."""
    last = max(0, length_px - tile_px)
    return [*range(0, last, tile_px - overlap_px), last]


def tile_corners(size: tuple[int, ...], tile_px: int, overlap_px: int) -> list[tuple[int, int]]:
    """Top and left of every tile of a picture of this height and width, row by row."""
    tops, lefts = (tile_starts(length_px, tile_px, overlap_px) for length_px in size)
    return [(top, left) for top in tops for left in lefts]


def tiles_of(
    name: str,
    image: Image.Image,
    *,
    shapes: Sequence[ObjectShape] | None,
    semantic: np.ndarray | None,
    label_of: Callable[[ObjectShape], int],
    tile_px: int,
    overlap_px: int,
    on_drop: Callable[[ObjectShape, str], None] = lambda shape, reason: None,
) -> Iterator[Tile]:
    """Every tile of a picture, cut from it one by one; what a tile lacks of the picture is black and VOID.

    Args:
        label_of: the number of a shape's kind, from 1.
        on_drop: called after the last tile for each shape that is on no tile, with the reason.
    """
    size = (image.height, image.width)
    drawn = [_drawn(shape, label_of(shape), size, tile_px) for shape in shapes or ()]
    shown: set[int] = set()
    for top, left in tile_corners(size, tile_px, overlap_px):
        window = (slice(top, top + tile_px), slice(left, left + tile_px))
        seen = {i: own for i, whole in enumerate(drawn) if (own := _seen(whole, left, top, tile_px))}
        shown.update(seen)
        yield Tile(
            name=f"{name}_{top:05d}_{left:05d}",
            image=fill_tile(_cut(image, left, top, tile_px), tile_px, 0),
            crowns=None if shapes is None else tuple(seen.values()),
            semantic=None if semantic is None else fill_tile(semantic[window], tile_px, VOID),
        )
    for index, (shape, whole) in enumerate(zip(shapes or (), drawn, strict=True)):
        if index not in shown:
            on_drop(shape, _why_not_shown(shape, whole.num_pixels, size, tile_px))


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A crown as pixels of its picture."""

    crown: Crown | None
    """None when no tile can show it: nothing of it lies on the picture, or it is too large, and its mask too."""
    num_pixels: int


def _drawn(shape: ObjectShape, label: int, size: tuple[int, int], tile_px: int) -> _Drawn:
    left, top, right, bottom = box_on_picture(shape, size)
    box_pixels, most_pixels = max(0, right - left) * max(0, bottom - top), tile_px**2 / MIN_SEEN_SHARE
    if not shape.is_outlined and box_pixels > most_pixels:
        return _Drawn(None, box_pixels)
    drawn = rasterise(shape, size)
    num_pixels = 0 if drawn is None else int(drawn.mask.sum())
    if drawn is None or num_pixels > most_pixels:
        return _Drawn(None, num_pixels)
    return _Drawn(Crown(label=label, box=drawn.box, mask=drawn.mask), num_pixels)


def _why_not_shown(shape: ObjectShape, num_pixels: int, size: tuple[int, int], tile_px: int) -> str:
    """Reason, in the plural for all crowns that it applies to."""
    if shape.lies_outside(size):
        return "lie outside of their picture"
    if num_pixels < MIN_SEEN_PX:
        return f"are smaller than {MIN_SEEN_PX} px"
    return f"are too large: no tile of {tile_px} px shows {MIN_SEEN_SHARE:.0%} of them"


def _seen(whole: _Drawn, left: int, top: int, tile_px: int) -> Crown | None:
    """Part of a crown on the tile at (left, top), in the tile's coordinates; None if too little of it is there."""
    crown = whole.crown
    if crown is None:
        return None
    first_x, first_y = max(crown.box[0], left), max(crown.box[1], top)
    end_x, end_y = min(crown.box[2], left + tile_px), min(crown.box[3], top + tile_px)
    if end_x <= first_x or end_y <= first_y:
        return None
    mask = crown.mask[first_y - crown.box[1] : end_y - crown.box[1], first_x - crown.box[0] : end_x - crown.box[0]]
    if mask.sum() < max(MIN_SEEN_PX, MIN_SEEN_SHARE * whole.num_pixels):
        return None
    return Crown(label=crown.label, box=(first_x - left, first_y - top, end_x - left, end_y - top), mask=mask)


def _cut(image: Image.Image, left: int, top: int, tile_px: int) -> np.ndarray:
    """The part of a tile that lies on the picture: uint8 RGB, shape (h, w, 3)."""
    right, bottom = min(left + tile_px, image.width), min(top + tile_px, image.height)
    return shrink_image(image.crop((left, top, right, bottom)), (bottom - top, right - left))


def fill_tile(part: np.ndarray, tile_px: int, value: int) -> np.ndarray:
    """Extends the part that a picture has of a tile to the whole tile, with `value`."""
    whole = np.full((tile_px, tile_px, *part.shape[2:]), value, np.uint8)
    whole[: part.shape[0], : part.shape[1]] = part
    return whole
