"""Random rectangles, one for each image of a batch, as masks: what cutout hides and CutMix exchanges."""

import torch
from torch import Tensor


def box_masks(area: Tensor, middle: Tensor, log_aspect: Tensor, size: tuple[int, ...]) -> Tensor:
    """Boolean masks [B, 1, H, W] of rectangles, cut off where they reach past the image; on the CPU.

    Args:
        area: share of the image that a rectangle would cover whole, [B] in [0, 1].
        middle: its middle as shares of width and height, [B, 2] in [0, 1].
        log_aspect: logarithm of its width over its height, in shares of the image's, [B]; 0 keeps the image's shape.
    """
    height, width = size
    side = area.sqrt()
    stretch = (0.5 * log_aspect).exp()
    across = _inside(middle[:, 0], side * stretch, width)
    down = _inside(middle[:, 1], side / stretch, height)
    return (down[:, :, None] & across[:, None, :])[:, None]


def _inside(middle: Tensor, share: Tensor, pixels: int) -> Tensor:
    """Which of the pixels of a side lie in the rectangle, [B, pixels]; edges are rounded to whole pixels."""
    first, last = (((middle + half * share) * pixels).round()[:, None] for half in (-0.5, 0.5))
    places = torch.arange(pixels)
    return (places >= first) & (places < last)
