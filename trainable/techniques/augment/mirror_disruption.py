"""Mirror disruption: mirrored images, some of them cropped off-centre, against symmetry as a shortcut.

What: an image is mirrored left to right, top to bottom, both, or, when it is square, along a diagonal or turned by a
quarter. A mirror alone leaves a symmetric object symmetric; what breaks its symmetry is the crop, which keeps 70
to 95 % of each side, at a random place, and is stretched back to the full size. Image and mask get the same crop. One
that shows less than a tenth of the object is drawn again, a few times, then the image is left uncropped.
Without a turn the two axes of the stretching are independent: lines are blended from two neighbours first, then the
values in each line; a mask takes the nearest pixel along each. Pixels past the image's border repeat it.
Source: flips and random resized crops as in Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural
Networks", NeurIPS 2012, https://doi.org/10.1145/3065386; separable bilinear resampling as in Wolberg, "Digital Image
Warping", IEEE Computer Society Press, 1990.
Cost: moving the pixels of a mirrored image, one bilinear and one nearest resampling of a cropped one; on average 0.6 ms
for one of 352 x 352 at full probability and magnitude on one CPU core. The resampling takes half of `grid_sample`,
which gathers four values for each pixel: 0.35 ms for an image of 352 x 352 on one CPU core when its channels are last
in memory, 0.5 when they are not.
Off: `probability=0`, or `p_mirror=0` in the progressive augmentation.
"""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from trainable.techniques.augment.batch_augmentation import Change, change_rows, sent

CROP_SHARE = 0.5
MAX_KEPT_FRACTION = 0.95
MIN_KEPT_FRACTION = 0.70
MIN_VISIBLE_SHARE = 0.1
CROP_DRAWS = 4
MIRRORS: dict[str, Change] = {
    "horizontal": lambda images: images.flip(-1),
    "vertical": lambda images: images.flip(-2),
    "both": lambda images: images.flip(-1, -2),
    # Read in order first: a column at a time is slow from memory and quick from the cache.
    "diagonal": lambda images: images.clone().transpose(-1, -2),
    "anti_diagonal": lambda images: images.flip(-1, -2).transpose(-1, -2),
    "quarter_turn": lambda images: images.rot90(1, (-2, -1)),
}
ANY_SHAPE_MIRRORS = ("horizontal", "vertical", "both")


class Neighbours(NamedTuple):
    """Indices of the values before and after each position on a line, and the weight of the one after; [N] each."""

    before: Tensor
    after: Tensor
    share: Tensor


def places_in(starts: Tensor, lengths: Tensor, size: int) -> Tensor:
    """Source positions, in fractions of pixels, when a part [B] of a side is stretched to all of `size`: [B, size]."""
    steps = torch.arange(size, device=starts.device) + 0.5
    return (starts[:, None] + steps * (lengths / size)[:, None] - 0.5).clamp_(0, size - 1)


def neighbours_of(places: Tensor, *, channels: int = 1) -> list[Neighbours]:
    """Neighbours of each row of positions [B, N] on a line of N pixels with interleaved channels: [N * C] each."""
    before = places.long()
    after = (before + 1).clamp_max_(places.shape[1] - 1)
    share = (places - before).repeat_interleave(channels, dim=1)
    channel = torch.arange(channels, device=places.device)
    indices = ((pixels[..., None] * channels + channel).flatten(1) for pixels in (before, after))
    return [Neighbours(*values) for values in zip(*indices, share, strict=True)]


def stretch(image: Tensor, ys: Neighbours, xs: Neighbours) -> Tensor:
    """Resamples an image [C, H, W] bilinearly at lines `ys` [H] and, within each line, at values `xs` [W * C]."""
    lines = image.permute(1, 2, 0).flatten(1)
    share_y, share_x = ys.share.to(image.dtype)[:, None], xs.share.to(image.dtype)
    lines = lines.index_select(0, ys.before).lerp_(lines.index_select(0, ys.after), share_y)
    lines = lines.index_select(1, xs.before).lerp_(lines.index_select(1, xs.after), share_x)
    return lines.unflatten(1, (-1, len(image))).permute(2, 0, 1)


def stretch_mask(mask: Tensor, ys: Tensor, xs: Tensor) -> Tensor:
    """Resamples a mask [1, H, W] at the pixels nearest to positions [H] and [W]."""
    return mask[0].index_select(0, ys.round().long()).index_select(1, xs.round().long())[None]


def mirror_disruption(
    images: Tensor, masks: Tensor, *, probability: float | Tensor, magnitude: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Images [B, 3, H, W] and masks [B, 1, H, W], some mirrored, some of those cropped and stretched back.

    Args:
        probability: of a mirror, one number or one per image [B] on the CPU; a mirrored image is cropped half as often.
        magnitude: in [0, 1]; a crop keeps between 95 - 25 * magnitude and 95 % of each side.
        generator: on the CPU, whatever device the images are on.
    """
    size = images.shape[-2], images.shape[-1]
    mirrors, rows = _draw_rows(len(images), size, probability=probability, generator=generator)
    crops = draw_crops(len(images), *size, magnitude=magnitude, generator=generator)[:, rows]
    cropped_masks, crops = masks.index_select(0, sent(rows, masks)), sent(crops, masks)
    tops, lefts, heights, widths = first_crop_with_the_object(cropped_masks, crops).unbind(-1)
    ys, xs = places_in(tops, heights, size[0]), places_in(lefts, widths, size[1])
    neighbours = zip(neighbours_of(ys), neighbours_of(xs, channels=images.shape[1]), strict=True)
    stretches: dict[int, Change] = {}
    mask_stretches: dict[int, Change] = {}
    for row, (lines, values), y, x in zip(rows.tolist(), neighbours, ys, xs, strict=True):
        stretches[row] = partial(stretch, ys=lines, xs=values)
        mask_stretches[row] = partial(stretch_mask, ys=y, xs=x)
    return change_rows(images, stretches, mirrors), change_rows(masks, mask_stretches, mirrors)


def draw_crops(count: int, height: int, width: int, *, magnitude: float, generator: torch.Generator) -> Tensor:
    """Candidate crops (top, left, height, width) in pixels for each image, the last one the whole image: [K, B, 4]."""
    size, place_y, place_x = torch.rand(3, CROP_DRAWS, count, generator=generator)
    kept = MAX_KEPT_FRACTION - (MAX_KEPT_FRACTION - MIN_KEPT_FRACTION) * magnitude * size
    heights, widths = (kept * height).round().clamp_min(1), (kept * width).round().clamp_min(1)
    tops, lefts = (place_y * (height - heights + 1)).floor(), (place_x * (width - widths + 1)).floor()
    whole = torch.tensor([0.0, 0.0, height, width]).expand(1, count, 4)
    return torch.cat([torch.stack([tops, lefts, heights, widths], dim=-1), whole])


def first_crop_with_the_object(masks: Tensor, crops: Tensor) -> Tensor:
    """Chooses the first of the candidates [K, B, 4] that shows enough of the object in masks [B, 1, H, W]: [B, 4]."""
    rows = _inside(crops[..., 0], crops[..., 2], masks.shape[-2])
    columns = _inside(crops[..., 1], crops[..., 3], masks.shape[-1])
    planes = masks[:, 0].float()
    visible = (torch.einsum("bhw,kbw->kbh", planes, columns) * rows).sum(dim=-1)
    enough = visible >= MIN_VISIBLE_SHARE * planes.sum(dim=(-2, -1))
    first = enough.int().argmax(dim=0)
    return crops[first, torch.arange(len(masks), device=masks.device)]


def _draw_rows(
    count: int, size: tuple[int, int], *, probability: float | Tensor, generator: torch.Generator
) -> tuple[dict[int, Change], Tensor]:
    """Draws the mirror of each selected row, and which of these rows are cropped, [R]."""
    chance_of_mirror, chance_of_crop = torch.rand(2, count, generator=generator)
    mirrored = chance_of_mirror < probability
    cropped = mirrored & (chance_of_crop < CROP_SHARE * probability)
    # Those that keep the shape.
    names = tuple(MIRRORS) if size[0] == size[1] else ANY_SHAPE_MIRRORS
    drawn = torch.randint(len(names), (count,), generator=generator).tolist()
    mirrors = {row: MIRRORS[names[drawn[row]]] for row in mirrored.nonzero().flatten().tolist()}
    return mirrors, cropped.nonzero().flatten()


def _inside(starts: Tensor, lengths: Tensor, size: int) -> Tensor:
    positions = torch.arange(size, device=starts.device)
    return ((positions >= starts[..., None]) & (positions < (starts + lengths)[..., None])).float()
