"""The round retina on its black ground: found, cut out, padded to a square and resized once.

A photograph of 4288 x 2848 pixels is a third black; resized as it is, that third would be paid for in every epoch, and
the retina's size would follow the camera instead of the eye.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from trainable.data.io.decoding import LARGE_PIXELS, crop_image
from trainable.data.io.findings import BadFileError

_LOOK_PX = 256
"""The disc is looked for in a copy of this long side."""
_MIN_CONTRAST = 12
"""Grey levels by which the retina must be brighter than the ground."""
_RISE = 0.12
"""Share of the way from the ground to the brightest regions at which the retina begins."""
_LIGHT_GROUND = 0.35
"""Corners brighter than this share of the brightest regions are retina: the picture is cropped already."""
_MIN_SHARE = 0.1
RETINA_SHARE = 2
"""Least size at which a large photograph is decoded, in multiples of the image size: the retina is only part of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Pixels from the first row and column up to, not including, the last."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left


def find_retina(pixels: np.ndarray) -> Box:
    """The box around the largest bright region; all of it where the corners are not dark.

    Args:
        pixels: uint8, shape (H, W, 3).

    Raises:
        BadFileError: nothing stands out from the ground, or next to nothing.
    """
    red, green, blue = np.moveaxis(pixels, 2, 0)
    light = median_of_nine(np.maximum(np.maximum(red, green), blue)).astype(np.float64)
    corner_px = max(1, min(light.shape) // 16)
    ends = slice(None, corner_px), slice(-corner_px, None)
    corners = np.stack([light[rows, columns] for rows in ends for columns in ends])
    ground, bright = np.median(corners), np.percentile(light, 95)
    if ground > _LIGHT_GROUND * bright and bright > 2 * _MIN_CONTRAST:
        return Box(top=0, left=0, bottom=pixels.shape[0], right=pixels.shape[1])
    regions, count = ndimage.label(light > ground + max(_MIN_CONTRAST, _RISE * (bright - ground)))
    sizes = np.bincount(regions.ravel(), minlength=2)[1:]
    if not count or sizes.max() < _MIN_SHARE * light.size:
        raise BadFileError(
            f"shows no retina: {sizes.max() / light.size:.0%} of the picture stands out from its dark ground",
            "Give a photograph of a retina on a dark ground, or remove the file.",
        )
    rows, columns = ndimage.find_objects(regions)[int(sizes.argmax())]
    return Box(top=rows.start, left=columns.start, bottom=rows.stop, right=columns.stop)


def crop_to_retina(image: Image.Image, size_px: int) -> np.ndarray:
    """uint8 RGB, shape (size_px, size_px, 3): the retina fills the longer side, black fills the other up.

    Raises:
        BadFileError: there is no retina, or the picture has more than 8 bits.
    """
    width, height = image.size
    scale = min(1.0, _LOOK_PX / max(width, height))
    box = find_retina(crop_image(image, (max(1, round(scale * height)), max(1, round(scale * width)))))
    native = [round(edge / scale) for edge in (box.left, box.top, box.right, box.bottom)]
    edges = (native[0], native[1], min(native[2], width), min(native[3], height))
    factor = max(native[2] - native[0], native[3] - native[1]) // (3 * size_px) if width * height > LARGE_PIXELS else 1
    cut = (image.reduce(factor, edges) if factor > 1 else image.crop(edges)).convert("RGB")
    side = max(cut.size)
    square = Image.new("RGB", (side, side))
    square.paste(cut, ((side - cut.width) // 2, (side - cut.height) // 2))
    return np.asarray(square.resize((size_px, size_px), Image.Resampling.BILINEAR, reducing_gap=3.0))


def median_of_nine(light: np.ndarray) -> np.ndarray:
    """The median of each pixel and its eight neighbours, uint8 (H, W); edges are repeated.

    As `ndimage.median_filter(light, size=3)`, in a seventieth of its time: of the three in each column the least, the
    middle and the largest, then the middle of the largest least, the middle middle and the least largest.
    """
    wide = np.pad(light, 1, mode="edge")
    column = wide[:-2], wide[1:-1], wide[2:]
    least, largest = np.minimum(np.minimum(*column[:2]), column[2]), np.maximum(np.maximum(*column[:2]), column[2])
    middle = _middle(*column)
    return _middle(
        np.maximum(np.maximum(least[:, :-2], least[:, 1:-1]), least[:, 2:]),
        _middle(middle[:, :-2], middle[:, 1:-1], middle[:, 2:]),
        np.minimum(np.minimum(largest[:, :-2], largest[:, 1:-1]), largest[:, 2:]),
    )


def _middle(first: np.ndarray, second: np.ndarray, third: np.ndarray) -> np.ndarray:
    """Elementwise median of three arrays."""
    return np.maximum(np.minimum(first, second), np.minimum(np.maximum(first, second), third))
