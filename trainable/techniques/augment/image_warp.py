"""Geometry of whole batches: each image moved in its own way, all of its moves in a single resampling; rectangles.

What: a move is a 3x3 matrix that says where an output place looks in the input, in coordinates that span -1 to 1 from
top to bottom and -W/H to W/H from left to right, so that a turn stays a turn when an image is not square. Moves are
composed by multiplying them, and a bent grid is added before. Places outside the image show its mirror image. Random
rectangles, one for each image, are masks: what cutout hides and CutMix replaces.
Source: Jaderberg et al., "Spatial Transformer Networks", NeurIPS 2015, https://arxiv.org/abs/1506.02025; bent grids:
Buslaev et al., "Albumentations", 2020, https://arxiv.org/abs/1809.06839.
Cost: one bilinear resampling of the images that move, however many moves they make. Off: no move.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from trainable.techniques.augment.batch_augmentation import sent


def crop(share: Tensor, place: Tensor, aspect: float) -> Tensor:
    """Keeps `share` of each side [B], at a `place` [B, 2] from -1 to 1 within the remaining range."""
    moves = _identities(len(share))
    room = 1.0 - share
    moves[:, 0, 0], moves[:, 1, 1] = share, share
    moves[:, 0, 2], moves[:, 1, 2] = aspect * room * place[:, 0], room * place[:, 1]
    return moves


def rotation(degrees: Tensor) -> Tensor:
    """Rotates the picture counter-clockwise about its centre, [B]."""
    radians = torch.deg2rad(degrees)
    moves = _identities(len(degrees))
    moves[:, 0, 0] = moves[:, 1, 1] = radians.cos()
    moves[:, 0, 1], moves[:, 1, 0] = -radians.sin(), radians.sin()
    return moves


def shear(degrees_x: Tensor, degrees_y: Tensor) -> Tensor:
    """Shears along x and along y, [B] each."""
    moves = _identities(len(degrees_x))
    moves[:, 0, 1], moves[:, 1, 0] = torch.deg2rad(degrees_x).tan(), torch.deg2rad(degrees_y).tan()
    return moves


def shift(share_x: Tensor, share_y: Tensor, aspect: float) -> Tensor:
    """Moves the picture right and down by shares of its width and height, [B] each."""
    moves = _identities(len(share_x))
    moves[:, 0, 2], moves[:, 1, 2] = -2.0 * aspect * share_x, -2.0 * share_y
    return moves


def scaling(factor: Tensor) -> Tensor:
    """Enlarges the picture about its centre, [B]."""
    moves = _identities(len(factor))
    moves[:, 0, 0] = moves[:, 1, 1] = 1.0 / factor
    return moves


def flip(flipped: Tensor) -> Tensor:
    """Mirrors left to right where `flipped` [B] is true."""
    moves = _identities(len(flipped))
    moves[:, 0, 0] = torch.where(flipped, -1.0, 1.0)
    return moves


def bent_grid(nodes: Tensor, size: tuple[int, ...]) -> Tensor:
    """Interpolates the shifts of a few nodes [B, 2, h, w] smoothly to every position, [B, H, W, 2]."""
    return F.interpolate(nodes, size=size, mode="bicubic", align_corners=True).permute(0, 2, 3, 1)


def warp(images: Tensor, moves: Tensor, bends: Tensor | None = None) -> Tensor:
    """Warps images [B, C, H, W] by moves [B, 3, 3] and bends [B, h, w, 2]; images without any stay equal to the bit."""
    moving = (moves != torch.eye(3)).flatten(1).any(1)
    if bends is not None:
        moving |= (bends != 0).flatten(1).any(1)
    if not moving.any():
        return images
    rows = moving.nonzero().squeeze(1)
    grid = _grid(moves[rows], None if bends is None else bends[rows], images.shape[-2:])
    on_device = sent(rows, images)
    moved = F.grid_sample(
        images.index_select(0, on_device),
        sent(grid, images, images.dtype),
        mode="bilinear",
        padding_mode="reflection",
        align_corners=False,
    )
    return images.index_copy(0, on_device, moved)


def _grid(moves: Tensor, bends: Tensor | None, size: tuple[int, ...]) -> Tensor:
    """Source position of each output pixel, in the coordinates of `grid_sample`: [B, H, W, 2]."""
    height, width = size
    aspect = torch.tensor([width / height, 1.0])
    steps_y, steps_x = ((2.0 * torch.arange(side) + 1.0) / side - 1.0 for side in (height, width))
    places = torch.stack(torch.meshgrid(steps_x, steps_y, indexing="xy"), dim=-1) * aspect
    places = places.expand(len(moves), *places.shape)
    if bends is not None:
        places = places + bends
    seen = torch.einsum("bij,bhwj->bhwi", moves[:, :2, :2], places) + moves[:, None, None, :2, 2]
    return seen / aspect


def _identities(count: int) -> Tensor:
    return torch.eye(3).repeat(count, 1, 1)


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
    """Mask of the pixels along a side that are in the rectangle, [B, pixels]; edges are rounded to whole pixels."""
    first, last = (((middle + half * share) * pixels).round()[:, None] for half in (-0.5, 0.5))
    places = torch.arange(pixels)
    return (places >= first) & (places < last)
