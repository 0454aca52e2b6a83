"""Small JPEGs as data URIs, with masks and boxes on them."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter
from torch import Tensor

SIDE_PX = 176
JPEG_QUALITY = 72
OPACITY = 70
"""Opacity of a mask, of 255, so that the image below stays visible; its outline is opaque, in white and the colour."""
TRUE_COLOUR, EXPORTED_COLOUR, DEFAULT_COLOUR = (47, 145, 102), (217, 101, 11), (143, 98, 194)
COLOUR_OF = {"default": DEFAULT_COLOUR, "exported": EXPORTED_COLOUR}
"""Colour of each network's output, as in the page's captions and figures."""


def as_uri(
    pixels: Tensor,
    *,
    mask: Tensor | None = None,
    boxes: Sequence[Sequence[float]] = (),
    colour: tuple[int, int, int] = EXPORTED_COLOUR,
    side_px: int = SIDE_PX,
) -> str:
    """Encodes an image (3, H, W) in [0, 1], with a bool mask (h, w) of any size and boxes in pixels, as a data URI.

    Args:
        side_px: the longer side of the result.
    """
    picture = Image.fromarray((pixels.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy())
    scale = side_px / max(picture.size)
    width, height = (max(1, round(scale * side)) for side in picture.size)
    picture = picture.resize((width, height))
    if mask is not None:
        _paint(picture, mask, colour)
    for left, top, right, bottom in boxes:
        edges = (left * scale, top * scale, max(left, right - 1) * scale, max(top, bottom - 1) * scale)
        ImageDraw.Draw(picture).rectangle(edges, outline=colour, width=2)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _paint(picture: Image.Image, mask: Tensor, colour: tuple[int, int, int]) -> None:
    """Paints a mask as a tint, with an outline that is visible on any background."""
    inside = (
        Image.fromarray((mask.numpy() * 255).astype(np.uint8))
        .resize(picture.size)
        .point(lambda value: 255 if value > 127 else 0)
    )
    outer = ImageChops.subtract(inside.filter(ImageFilter.MaxFilter(3)), inside)
    inner = ImageChops.subtract(inside, inside.filter(ImageFilter.MinFilter(5)))
    picture.paste(colour, mask=inside.point(lambda value: OPACITY if value else 0))
    picture.paste((255, 255, 255), mask=outer)
    picture.paste(colour, mask=inner)
