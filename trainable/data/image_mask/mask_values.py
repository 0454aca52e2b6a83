"""Which values a mask holds, how many pixels of each, and which of them are areas of their own and no soft edges."""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image
from scipy import ndimage

from trainable.data.io.decoding import is_deep

_MAX_NAMED = 6
_FEW, _SOME = 4, 16
"""So many levels in a lossless file were chosen by somebody; smoothing makes more."""
_BAND = slice(32, 224)
"""Levels that compression does not make of black or white."""
_NEAR = 3
"""Levels by which compression leaves an area uneven."""
_EDGE_NOISE = 8
"""Levels beside black and white that a badly compressed ground may have."""
_AREA = 0.0005
"""Share of the pixels from which on a level is no stray."""
_JPEG_AREA = 0.005
_EIGHT_BITS, _SIXTEEN_BITS = 2**8 - 1, 2**16 - 1
_EIGHT_TO_SIXTEEN = _SIXTEEN_BITS // _EIGHT_BITS
"""By which programs multiply a level of 8 bits to save it with 16."""
_COUNTED_AT_ONCE = 2**20
"""Pixels."""


def value_counts(image: Image.Image) -> str:
    """Formats the most frequent values, such as `0 (91 %), 1 (6.1 %), 255 (2.7 %)`; colours as red/green/blue."""
    pixels = np.asarray(image.convert("RGB") if image.mode in ("P", "CMYK", "YCbCr", "HSV") else image)
    if pixels.ndim == 3:
        packed = (pixels.astype(np.uint32) << (8 * np.arange(pixels.shape[2], dtype=np.uint32))).sum(axis=2)
        values, counts = np.unique(packed, return_counts=True)
        names = ["/".join(str(value >> shift & 255) for shift in range(0, 8 * pixels.shape[2], 8)) for value in values]
    else:
        values, counts = np.unique(pixels, return_counts=True)
        names = [f"{value:g}" for value in values]
    return format_shares(names, counts)


def in_eight_bits(image: Image.Image) -> Image.Image:
    """A mask of more than 8 bits as one of 8, where its values are from 0 to 255, or those times 257 up to 65535.

    Any other is given back as it is: its values may be instances, or void.
    """
    if not is_deep(image):
        return image
    pixels = np.asarray(image)
    values = np.unique(pixels)
    if not (values[0] >= 0 and values[-1] <= _SIXTEEN_BITS) or (values % 1).any():
        return image
    if values[-1] == _SIXTEEN_BITS and not (values % _EIGHT_TO_SIXTEEN).any():
        pixels = pixels // _EIGHT_TO_SIXTEEN
    elif values[-1] > _EIGHT_BITS:
        return image
    return Image.fromarray(pixels.astype(np.uint8))


def levels_of(value: str) -> tuple[int, int, int]:
    """Red, green and blue of a value as `value_counts` writes it: `255`, or `255/0/0`.

    Raises:
        ValueError: it is neither.
    """
    levels = value.split("/")
    if len(levels) not in (1, 3) or not all(level.isdecimal() and int(level) <= 255 for level in levels):
        raise ValueError(
            f'foreground_values holds {value!r}; give grey levels such as "255" or colours such as "255/0/0", '
            "of 0 to 255."
        )
    red, green, blue = levels * 3 if len(levels) == 1 else levels
    return int(red), int(green), int(blue)


def format_shares(names: Sequence[str], counts: np.ndarray) -> str:
    """Formats the names with the largest counts, in their own order, each with its share."""
    most = np.argsort(-counts, kind="stable")[:_MAX_NAMED]
    percents = 100 * counts / counts.sum()
    shown = [f"{names[at]} ({percents[at]:{'.0f' if percents[at] >= 10 else '.2g'}} %)" for at in sorted(most)]
    return ", ".join(shown) + (f" and {len(names) - len(most)} more" if len(names) > len(most) else "")


def class_levels(grey: np.ndarray, *, is_jpeg: bool) -> list[int]:
    """Levels between the darkest and the brightest that form areas of their own, as classes and void do.

    A soft edge lies between darker and brighter neighbours; an area has neighbours of its own level.

    Args:
        grey: uint8, shape (H, W).
    """
    levels = np.flatnonzero(level_counts(grey))
    if len(levels) <= 2:
        return []
    if len(levels) <= _FEW and not is_jpeg:
        own = _counts_where(grey, lambda level, darkest, brightest: (darkest == level) | (level == brightest))
        return [int(level) for level in levels[1:-1] if own[level] / grey.size >= _AREA]
    shares = _counts_where(grey, lambda level, darkest, brightest: (brightest - darkest) <= _NEAR) / grey.size
    found: list[int] = []
    if shares[_BAND].sum() >= _JPEG_AREA:
        found = (np.flatnonzero(shares[_BAND] >= _AREA) + _BAND.start).tolist()
    if len(levels) <= _SOME and not is_jpeg:
        exact = _counts_where(grey, lambda level, darkest, brightest: brightest == darkest) / grey.size
        areas = (np.flatnonzero(exact[1:255] >= _JPEG_AREA) + 1).tolist()
        if len(areas) > 1 or any(_EDGE_NOISE < area < 255 - _EDGE_NOISE for area in areas):
            found = areas
    return found


def level_counts(grey: np.ndarray) -> np.ndarray:
    """Pixels at each of the 256 levels of uint8, counted in parts: numpy counts in copies of eight bytes a pixel."""
    flat, counts = grey.ravel(), np.zeros(256, np.int64)
    for start in range(0, flat.size, _COUNTED_AT_ONCE):
        counts += np.bincount(flat[start : start + _COUNTED_AT_ONCE], minlength=256)
    return counts


def _counts_where(grey: np.ndarray, keep: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """Counts the pixels that `keep` takes, by their level and by the darkest and brightest of the 3 x 3 around them.

    In strips of rows, so that filters of a large mask take little memory.
    """
    counts = np.zeros(256, np.int64)
    num_rows = max(1, _COUNTED_AT_ONCE // grey.shape[1])
    for top in range(0, len(grey), num_rows):
        above = min(top, 1)
        strip, own = grey[top - above : top + num_rows + 1], slice(above, above + num_rows)
        darkest, brightest = ndimage.minimum_filter(strip, 3)[own], ndimage.maximum_filter(strip, 3)[own]
        counts += level_counts(strip[own][keep(strip[own], darkest, brightest)])
    return counts
