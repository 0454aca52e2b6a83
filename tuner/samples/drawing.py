"""Small JPEGs as data URIs, with masks and boxes on them."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

SIDE_PX = 176
JPEG_QUALITY = 72
OPACITY = 140
TRUE_COLOUR, FOUND_COLOUR = (47, 145, 102), (217, 101, 11)


def as_uri(
    pixels: Tensor,
    *,
    mask: Tensor | None = None,
    boxes: Sequence[Sequence[float]] = (),
    colour: tuple[int, int, int] = FOUND_COLOUR,
) -> str:
    """An image (3, H, W) in [0, 1], with a bool mask (h, w) of any size and boxes in its own pixels."""
    picture = Image.fromarray((pixels.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy())
    if mask is not None:
        stencil = Image.fromarray((mask.numpy() * OPACITY).astype(np.uint8)).resize(picture.size)
        picture.paste(Image.new("RGB", picture.size, colour), mask=stencil)
    scale = SIDE_PX / max(picture.size)
    width, height = (max(1, round(scale * side)) for side in picture.size)
    picture = picture.resize((width, height))
    for left, top, right, bottom in boxes:
        edges = (left * scale, top * scale, max(left, right - 1) * scale, max(top, bottom - 1) * scale)
        ImageDraw.Draw(picture).rectangle(edges, outline=colour)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
