"""Files to pixels: turned as EXIF says, in RGB or grey levels, whole or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from trainable.data.io.findings import BadFileError

_ORIENTATION_TAG = 0x0112
_TURNED_BY_A_QUARTER = (5, 6, 7, 8)
_DECODER_ERRORS = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)
_STEP_PX = 16
_SAME_SHAPE = 1.02
_DAMAGED = "Copy the file again from its source, or remove the pair."
_DEEP_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a file says of itself before it is decoded."""

    size: tuple[int, int]
    """(height, width) in pixels after the EXIF turn."""
    has_alpha: bool
    is_turned: bool = False
    """EXIF turns it by a quarter: the file itself holds it with width and height swapped."""


def read_header(path: Path) -> Header:
    try:
        with Image.open(path) as image:
            turned = image.getexif().get(_ORIENTATION_TAG) in _TURNED_BY_A_QUARTER
            size = image.size if turned else image.size[::-1]
            return Header(size=size, has_alpha=image.has_transparency_data, is_turned=turned)
    except _DECODER_ERRORS as error:
        raise _bad_file(path, error) from error


def read_upright(path: Path) -> Image.Image:
    """The whole picture, decoded and turned; `format` stays that of the file."""
    try:
        with Image.open(path) as image:
            image.load()
            upright = ImageOps.exif_transpose(image)
            upright.format = image.format
            return upright
    except _DECODER_ERRORS as error:
        raise _bad_file(path, error) from error


def shrink_image(image: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """uint8 RGB, shape (*size, 3), smoothed as it shrinks; transparency is dropped."""
    return np.asarray(_rgb(image).resize(size[::-1], Image.Resampling.BILINEAR, reducing_gap=3.0))


def crop_image(image: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """uint8 RGB, shape (*size, 3): shrunk until the shorter side fits, and the middle of the longer one cut out."""
    return np.asarray(ImageOps.fit(_rgb(image), size[::-1], Image.Resampling.BILINEAR))


def shrink_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Nearest neighbours, so that 0 and 1 stay the only values."""
    return np.asarray(Image.fromarray(mask).resize(size[::-1], Image.Resampling.NEAREST))


def fitting_size(sizes: Sequence[tuple[int, int]], long_side_px: int) -> tuple[int, int]:
    """(height, width) in multiples of 16: the shape that all images share within 2 %, else a square."""
    heights, widths = np.array(sizes or [(_STEP_PX, _STEP_PX)]).T
    ratios = heights / widths
    largest_px = min(long_side_px, int(max(heights.max(), widths.max())))
    long_px = max(_STEP_PX, largest_px // _STEP_PX * _STEP_PX)
    if ratios.max() > _SAME_SHAPE * ratios.min():
        return long_px, long_px
    ratio = float(np.median(ratios))
    short_px = max(_STEP_PX, round(long_px * min(ratio, 1 / ratio) / _STEP_PX) * _STEP_PX)
    return (short_px, long_px) if ratio < 1 else (long_px, short_px)


def has_transparency(image: Image.Image) -> bool:
    """True when some pixel is not opaque."""
    return image.has_transparency_data and any(image.convert("RGBA").getchannel("A").histogram()[:255])


def is_deep(image: Image.Image) -> bool:
    return image.mode in _DEEP_MODES


def _rgb(image: Image.Image) -> Image.Image:
    if is_deep(image):
        raise BadFileError(f"has more than 8 bits per pixel (mode {image.mode})", "Save it with 8 bits per channel.")
    return image.convert("RGB")


def _bad_file(path: Path, error: Exception) -> BadFileError:
    if path.is_file() and path.stat().st_size == 0:
        return BadFileError("is empty: 0 bytes", _DAMAGED)
    if isinstance(error, UnidentifiedImageError):
        return BadFileError("is not an image in a known format, whatever its ending says", _DAMAGED)
    return BadFileError(f"is damaged: {error}", _DAMAGED)
