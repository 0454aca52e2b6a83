"""Files to pixels: turned as EXIF says, in RGB or grey levels, whole or not at all."""

import os
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from trainable.data.io.counted import first_of
from trainable.data.io.findings import BadFileError, Finding, Severity

_ORIENTATION_TAG, _TIFF_WIDTH_TAG, _TIFF_HEIGHT_TAG = 0x0112, 0x0100, 0x0101
_ORIENTATIONS, UPRIGHT = range(1, 9), 1
_TURNED_BY_A_QUARTER = (5, 6, 7, 8)
_TURNED_OR_MIRRORED = (2, 3, 4)
DECODER_ERRORS = (OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, RuntimeError, struct.error)
"""Errors that Pillow's decoders raise for damaged bytes."""
MAX_PIXELS = 2**29 // 3
"""Most pixels of a picture, 179 million: the decoder keeps 0.7 GB, of three bands or of four, and twice as
much while EXIF turns it or CMYK becomes RGB."""
# Pillow warns from half as many on and calls larger ones an attack; these are the user's own, and reported as large.
Image.MAX_IMAGE_PIXELS = None
LARGE_PIXELS = 24_000_000
"""From so many on a picture is shrunk as it is decoded or cut, where that is enough."""
_ROWS_AT_ONCE = 1024
MIN_SIDE_PX = 16
"""Least side of an image in the cache."""
_STEP_PX = 16
_SAME_SHAPE = 1.02
_MAX_NAMED = 3
_SAVE_EIGHT_BITS = "Save it with 8 bits per channel."
_SIXTEEN_BITS = ";16"
"""In the decoder's name of what a file holds, such as `RGB;16B`."""
_DAMAGED = "Copy the file again from its source, or remove it."
_PNG_SIGNATURE_BYTES, _PNG_CHECKSUM_BYTES = 8, 4
_TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PAGED_FORMATS = ("TIFF", "GIF", "WEBP", "PNG", "AVIF")
_DEEP_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Facts about a picture that are known before it is decoded."""

    size: tuple[int, int]
    """(height, width) in pixels after the EXIF turn."""
    has_alpha: bool
    orientation: int = UPRIGHT
    """As EXIF numbers them, 1 to 8; 1 is upright."""

    @property
    def is_turned(self) -> bool:
        """EXIF turns it by a quarter: the file holds it with width and height swapped."""
        return self.orientation in _TURNED_BY_A_QUARTER

    @property
    def is_turned_unseen(self) -> bool:
        """EXIF turns or mirrors it and keeps its size: sizes can't show if a mask or annotation is turned too."""
        return self.orientation in _TURNED_OR_MIRRORED or (self.is_turned and self.size[0] == self.size[1])

    def is_turned_unlike(self, picture: "Header") -> bool:
        """Whether EXIF turns this mask unlike its picture; a mask without a turn may match the turned picture."""
        return self.orientation not in (UPRIGHT, picture.orientation)


def read_header(path: Path) -> Header:
    try:
        with _open(path) as image:
            # Of a PNG Pillow decodes all pixels, to see whether EXIF lies behind them; it seldom does.
            is_before_pixels = image.format == "PNG" and not _has_text_behind_pixels(path)
            exif = Image.Image.getexif(image) if is_before_pixels else image.getexif()
            stated = exif.get(_ORIENTATION_TAG, UPRIGHT)
            orientation = stated if stated in _ORIENTATIONS else UPRIGHT
            width, height = _stored_size(image)
            size = (width, height) if orientation in _TURNED_BY_A_QUARTER else (height, width)
            return Header(size=size, has_alpha=image.has_transparency_data, orientation=orientation)
    except BadFileError:
        raise
    except DECODER_ERRORS as error:
        raise _bad_file(path, error) from error


def check_turns(headers: Mapping[Path, Header]) -> list[Finding]:
    """A warning that counts the pictures whose mask or annotation may be of the picture before its EXIF turn."""
    turned = [file for file, header in headers.items() if header.is_turned_unseen]
    action = "Read as turned: check that masks and annotations are so too, or save the pictures without the EXIF turn."
    return _counted("pictures", turned, len(headers), "are turned by EXIF, and keep their size", action)


def check_mask_turns(turned: Sequence[Path], *, num_masks: int) -> list[Finding]:
    """A warning that counts the masks that EXIF turns otherwise than their picture."""
    action = "Read as turned: check that they lie on their objects, or save them without the EXIF turn."
    return _counted("masks", turned, num_masks, "are turned by EXIF, and their pictures are not so", action)


def check_bands(headers: Mapping[Path, Header]) -> list[Finding]:
    """A warning that counts the pictures of four bands, of which three are read."""
    four = [file for file, header in headers.items() if header.has_alpha]
    action = "Red, green and blue are read as they are; the fourth band (transparency, or infrared) is not."
    return _counted("pictures", four, len(headers), "have a fourth band, declared as alpha", action)


def _counted(kind: str, those: Sequence[Path], among: int, problem: str, action: str) -> list[Finding]:
    if not those:
        return []
    problem = f"{len(those)} of {among} {problem}: {first_of(those, _MAX_NAMED)}"
    return [Finding(file=kind, problem=problem, action=action, severity=Severity.WARNING)]


def num_pixels(path: Path) -> int:
    """Width times height; 0 if the file cannot be read, which is reported when it is decoded."""
    try:
        with _open(path) as image:
            return image.width * image.height
    except (BadFileError, *DECODER_ERRORS):
        return 0


def read_upright(path: Path, *, least_px: int | None = None) -> Image.Image:
    """The whole picture, decoded and turned; `format` stays that of the file.

    Args:
        least_px: no side is needed larger than this: a large JPEG may be decoded at a half, a quarter or an eighth.
    """
    try:
        with _open(path) as image:
            _require_one_page(image)
            _require_eight_bits(image)
            if least_px is not None and image.width * image.height > LARGE_PIXELS:
                image.draft(None, (2 * least_px, 2 * least_px))
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return image
    except BadFileError:
        raise
    except DECODER_ERRORS as error:
        raise _bad_file(path, error) from error


def shrink_image(image: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """uint8 RGB, shape (*size, 3), smoothed as it shrinks; transparency is dropped."""
    if image.size != size[::-1]:
        return _resized(image, lambda one: one.resize(size[::-1], Image.Resampling.BILINEAR, reducing_gap=3.0))
    # Copied in strips: of a large picture there are two copies at a time, not four.
    pixels = np.empty((*size, 3), np.uint8)
    for top in range(0, image.height, _ROWS_AT_ONCE):
        bottom = min(top + _ROWS_AT_ONCE, image.height)
        pixels[top:bottom] = np.asarray(_rgb(image.crop((0, top, image.width, bottom))))
    return pixels


def crop_image(image: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """uint8 RGB, shape (*size, 3): shrunk until the shorter side fits, and the middle of the longer one cut out."""
    return _resized(image, lambda one: ImageOps.fit(one, size[::-1], Image.Resampling.BILINEAR))


def _resized(image: Image.Image, resize: Callable[[Image.Image], Image.Image]) -> np.ndarray:
    """uint8 RGB. With transparency band after band: its RGB would be a second copy of the whole picture."""
    if image.mode == "RGBA":
        return np.stack([np.asarray(resize(image.getchannel(band))) for band in "RGB"], axis=-1)
    return np.asarray(resize(_rgb(image)))


def shrink_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes by nearest neighbours, so that 0 and 1 stay the only values."""
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
    if not image.has_transparency_data:
        return False
    whole = image if image.mode == "RGBA" else image.convert("RGBA")
    return any(whole.getchannel("A").histogram()[:255])


def is_deep(image: Image.Image) -> bool:
    return image.mode in _DEEP_MODES


def _require_eight_bits(image: ImageFile) -> None:
    """Raises BadFileError for colours of 16 bits, of which the decoder keeps the upper 8: of 12 bits almost nothing is
    left. Grey levels are decoded whole."""
    for tile in image.tile:
        stored = tile.args if isinstance(tile.args, str) else str(next(iter(tile.args or ()), ""))
        if _SIXTEEN_BITS in stored and not is_deep(image):
            raise BadFileError(f"has 16 bits per channel (mode {stored})", _SAVE_EIGHT_BITS)


def _stored_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) before the EXIF turn; for a TIFF, newer decoders give those after it."""
    if isinstance(image, TiffImageFile):
        return image.tag_v2[_TIFF_WIDTH_TAG], image.tag_v2[_TIFF_HEIGHT_TAG]
    return image.size


def _rgb(image: Image.Image) -> Image.Image:
    if is_deep(image):
        raise BadFileError(f"has more than 8 bits per pixel (mode {image.mode})", _SAVE_EIGHT_BITS)
    return image if image.mode == "RGB" else image.convert("RGB")


def _has_text_behind_pixels(path: Path) -> bool:
    """Whether a PNG has EXIF, or texts that may hold it, behind its first pixels; reads lengths and kinds alone."""
    seen_pixels = False
    with path.open("rb", buffering=0) as file:
        file.seek(_PNG_SIGNATURE_BYTES)
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            seen_pixels |= kind == b"IDAT"
            if seen_pixels and kind in (b"eXIf", b"tEXt", b"zTXt", b"iTXt"):
                return True
            file.seek(length + _PNG_CHECKSUM_BYTES, os.SEEK_CUR)
    return False


@contextmanager
def _open(path: Path) -> Iterator[ImageFile]:
    """The file with its header read.

    Raises:
        BadFileError: it is larger than what is decoded at once.
    """
    with Image.open(path) as image:
        if image.width * image.height > MAX_PIXELS:
            raise BadFileError(
                f"is large: {image.width}x{image.height}, {image.width * image.height / 1e6:.0f} megapixels",
                f"Pictures of up to {MAX_PIXELS / 1e6:.0f} megapixels are read: cut it into tiles first, and its "
                "annotations with it.",
            )
        yield image


def _require_one_page(image: Image.Image) -> None:
    """Raises BadFileError for a stack or an animation. Smaller copies of a TIFF's picture are none, nor is an MPO."""
    if image.format not in _PAGED_FORMATS:
        return
    size = image.size
    # To the second of that size or the end; the number of frames is not asked for, for which Pillow reads them all.
    with suppress(EOFError):
        for frame in count(1):
            image.seek(frame)
            if image.size == size:
                raise BadFileError(
                    "holds several pictures of one size", "Save the one that counts as a file of its own."
                )
    image.seek(0)


def _bad_file(path: Path, error: Exception) -> BadFileError:
    if path.is_symlink() and not path.exists():
        return BadFileError("is a link to a file that is not there", "Restore the file, or remove it.")
    if not path.exists():
        return BadFileError("is not there", "Restore the file, or give another.")
    if path.is_file() and path.stat().st_size == 0:
        return BadFileError("is empty: 0 bytes", _DAMAGED)
    if isinstance(error, UnidentifiedImageError) and path.read_bytes()[:4] in _TIFF_MARKS:
        problem = "is a TIFF whose bands are not read: more than four, or several that are not declared as colours"
        return BadFileError(problem, "Save red, green and blue with 8 bits each.")
    if isinstance(error, UnidentifiedImageError):
        return BadFileError("is not an image in a known format, whatever its ending says", _DAMAGED)
    return BadFileError(f"is damaged: {error}", _DAMAGED)
