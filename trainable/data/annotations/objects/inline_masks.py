"""Masks that stand inside a file of annotations, and where they lie on their picture: never larger than a picture."""

import io
import zlib

import numpy as np
from PIL import Image

from trainable.data.annotations.objects.masks import no_pixels
from trainable.data.annotations.objects.written_values import ObjectError
from trainable.data.io.decoding import MAX_PIXELS

_MOST_PNG_BYTES = 2**26


def inflate(zipped: bytes) -> bytes:
    """Raises ValueError: it is damaged, or larger than the PNG of a mask."""
    try:
        unpacking = zlib.decompressobj()
        content = unpacking.decompress(zipped, _MOST_PNG_BYTES)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not unpacking.eof:
        raise ValueError(f"cut off, or of more than {_MOST_PNG_BYTES} bytes")
    return content


def open_png(content: bytes) -> Image.Image:
    """Raises one of DECODER_ERRORS if the file is no picture, or larger than any that is read."""
    image = Image.open(io.BytesIO(content))
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"{image.width}x{image.height} pixels")
    return image


def on_picture(inside: np.ndarray, corner: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """bool, shape `size`, of a mask whose first pixel lies at (left, top); what reaches beyond the picture is cut off.

    Raises:
        ObjectError: it begins outside of the picture, is no mask, or the picture is larger than any that is read.
    """
    left, top = corner
    if inside.ndim != 2 or left < 0 or top < 0:
        raise ObjectError("have a damaged mask", f"{inside.ndim} dimensions at ({left}, {top})")
    pixels = no_pixels(size)
    own = pixels[top : top + inside.shape[0], left : left + inside.shape[1]]
    own[:] = inside[: own.shape[0], : own.shape[1]]
    return pixels
