"""Predictions drawn on their pictures with torchvision: captions, masks, boxes.

torchvision and matplotlib are imported where they draw: every training imports its workload's predictor, and these
imports take seconds.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trainable.data.io.decoding import shrink_image

MIN_SIDE_PX = 768
"""Smaller pictures are enlarged by a whole factor, so that a caption has room."""
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
"""Okabe and Ito's palette, which suits every kind of colour vision."""
_OPACITY = 0.45


def canvas(picture: Image.Image) -> Tensor:
    """The picture as uint8 (3, H, W), enlarged where it is small."""
    pixels = shrink_image(picture, picture.size[::-1])
    factor = -(-MIN_SIDE_PX // max(pixels.shape[:2]))
    return torch.tensor(pixels).permute(2, 0, 1).repeat_interleave(factor, 1).repeat_interleave(factor, 2)


def draw_masks(picture: Tensor, masks: Tensor, colours: Sequence[int]) -> Tensor:
    """Draws disjoint bool masks (n, h, w), each in the colour of its number.

    The picture (3, H, W) is a whole multiple of their size.
    """
    from torchvision.utils import draw_segmentation_masks

    factor = picture.shape[1] // masks.shape[1]
    enlarged = masks.repeat_interleave(factor, 1).repeat_interleave(factor, 2)
    shades = [colour(number) for number in colours]
    return draw_segmentation_masks(picture, enlarged, alpha=_OPACITY, colors=shades)


def draw_boxes(picture: Tensor, boxes: np.ndarray, captions: Sequence[str], colours: Sequence[int]) -> Tensor:
    """Draws boxes (n, 4) as left, top, right, bottom in pixels of the picture, each with a caption."""
    if len(boxes) == 0:
        return picture
    import matplotlib
    from torchvision.utils import draw_bounding_boxes

    return draw_bounding_boxes(
        picture,
        torch.as_tensor(boxes),
        labels=list(captions),
        colors=[colour(number) for number in colours],
        width=max(1, max(picture.shape[1:]) // 400),
        fill_labels=True,
        font=str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"),
        font_size=_font_px(picture),
    )


def draw_captions(picture: Tensor, captions: Mapping[int, str]) -> Tensor:
    """Draws captions, by the number of their colour, each on a white strip above the picture."""
    strip_px = round(1.5 * _font_px(picture))
    strips = torch.full((3, strip_px * len(captions), picture.shape[2]), 255, dtype=torch.uint8)
    corners = np.array([[2, row * strip_px, 2, row * strip_px] for row in range(len(captions))])
    return torch.cat([draw_boxes(strips, corners, list(captions.values()), list(captions)), picture], dim=1)


def colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _font_px(picture: Tensor) -> int:
    return max(14, max(picture.shape[1:]) // 45)
