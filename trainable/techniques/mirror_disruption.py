"""Mirror disruption: mirrored images, some of them cropped off-centre, against symmetry as a shortcut.

What: an image is mirrored left to right, top to bottom, both, or, when it is square, along a diagonal or turned by a
quarter. A mirror alone leaves a symmetric object symmetric; what breaks its symmetry is the crop: a window that keeps
70 to 95 % of each side, at a random place, stretched back to the full size. Image and mask go through the same window.
A window that shows less than a tenth of the object is drawn again, a few times, then the image is left uncropped.
Source: flips and random resized crops as in Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural
Networks", NeurIPS 2012, https://doi.org/10.1145/3065386.
Cost: moving the pixels of a mirrored image, one bilinear and one nearest resampling of a cropped one; on average 1.3 ms
for one of 352 x 352 at full probability and magnitude on one CPU core.
Off: `probability=0`, or `p_mirror=0` in the progressive augmentation.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

MIRRORS: dict[str, Callable[[Tensor], Tensor]] = {
    "horizontal": lambda images: images.flip(-1),
    "vertical": lambda images: images.flip(-2),
    "both": lambda images: images.flip(-1, -2),
    "diagonal": lambda images: images.transpose(-1, -2),
    "anti_diagonal": lambda images: images.flip(-1, -2).transpose(-1, -2),
    "quarter_turn": lambda images: images.rot90(1, (-2, -1)),
}
ANY_SHAPE_MIRRORS = ("horizontal", "vertical", "both")
CROP_SHARE = 0.5
MAX_KEPT_FRACTION = 0.95
MIN_KEPT_FRACTION = 0.70
MIN_VISIBLE_SHARE = 0.1
CROP_DRAWS = 4


def mirror_disruption(
    images: Tensor, masks: Tensor, *, probability: float | Tensor, magnitude: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Images [B, 3, H, W] and masks [B, 1, H, W], some mirrored, some of those cropped and stretched back.

    Args:
        probability: of a mirror, one number or one per image [B] on the CPU; a mirrored image is cropped half as often.
        magnitude: in [0, 1]; a crop keeps between 95 - 25 * magnitude and 95 % of each side.
        generator: on the CPU, whatever device the images are on.
    """
    count, (height, width) = len(images), images.shape[-2:]
    chance_of_mirror, chance_of_crop = torch.rand(2, count, generator=generator)
    mirrored = chance_of_mirror < probability
    cropped = mirrored & (chance_of_crop < CROP_SHARE * probability)
    names = valid_mirrors(height, width)
    drawn = torch.randint(len(names), (count,), generator=generator)
    windows = draw_windows(count, height, width, magnitude=magnitude, generator=generator)
    choices = {name: (mirrored & (drawn == index)).nonzero().squeeze(1) for index, name in enumerate(names)}
    images, masks = mirror(images, choices), mirror(masks, choices)
    return _crop_rows(images, masks, cropped.nonzero().squeeze(1), windows)


def valid_mirrors(height: int, width: int) -> tuple[str, ...]:
    """Names of the mirrors that keep the shape."""
    return tuple(MIRRORS) if height == width else ANY_SHAPE_MIRRORS


def mirror(images: Tensor, choices: dict[str, Tensor]) -> Tensor:
    """Images [B, C, H, W] with the rows listed under each mirror's name replaced by their mirror image."""
    if not any(len(rows) for rows in choices.values()):
        return images
    mirrored = images.clone()
    for name, rows in choices.items():
        # One image at a time: gathering the rows first would pass over their pixels three times.
        for row in rows.tolist():
            mirrored[row] = MIRRORS[name](images[row])
    return mirrored


def draw_windows(count: int, height: int, width: int, *, magnitude: float, generator: torch.Generator) -> Tensor:
    """Candidate crops (top, left, height, width) in pixels for each image, the last one the whole image: [K, B, 4]."""
    size, place_y, place_x = torch.rand(3, CROP_DRAWS, count, generator=generator)
    kept = MAX_KEPT_FRACTION - (MAX_KEPT_FRACTION - MIN_KEPT_FRACTION) * magnitude * size
    heights, widths = (kept * height).round().clamp_min(1), (kept * width).round().clamp_min(1)
    tops, lefts = (place_y * (height - heights + 1)).floor(), (place_x * (width - widths + 1)).floor()
    whole = torch.tensor([0.0, 0.0, height, width]).expand(1, count, 4)
    return torch.cat([torch.stack([tops, lefts, heights, widths], dim=-1), whole])


def first_window_with_the_object(masks: Tensor, windows: Tensor) -> Tensor:
    """Of the candidates [K, B, 4] the first that shows enough of the object in masks [B, 1, H, W]: [B, 4]."""
    rows = _inside(windows[..., 0], windows[..., 2], masks.shape[-2])
    columns = _inside(windows[..., 1], windows[..., 3], masks.shape[-1])
    planes = masks[:, 0].float()
    visible = (torch.einsum("bhw,kbw->kbh", planes, columns) * rows).sum(dim=-1)
    enough = visible >= MIN_VISIBLE_SHARE * planes.sum(dim=(-2, -1))
    first = enough.int().argmax(dim=0)
    return windows[first, torch.arange(len(masks), device=masks.device)]


def crop_and_stretch(images: Tensor, masks: Tensor, windows: Tensor) -> tuple[Tensor, Tensor]:
    """Each image and mask cut to its window [B, 4] and stretched back to full size through one grid."""
    grid = _window_grid(windows, *images.shape[-2:]).to(images.dtype)
    stretched = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return stretched, F.grid_sample(masks, grid, mode="nearest", padding_mode="border", align_corners=False)


def _crop_rows(images: Tensor, masks: Tensor, rows: Tensor, windows: Tensor) -> tuple[Tensor, Tensor]:
    if len(rows) == 0:
        return images, masks
    windows, on_device = windows[:, rows].to(images.device), rows.to(images.device)
    shown, shown_masks = images.index_select(0, on_device), masks.index_select(0, on_device)
    chosen = first_window_with_the_object(shown_masks, windows)
    stretched = crop_and_stretch(shown, shown_masks, chosen)
    # One image at a time: all rows at once into another order of bytes in memory take four times as long.
    for row, image, mask in zip(rows.tolist(), *stretched, strict=True):
        images[row], masks[row] = image, mask
    return images, masks


def _inside(starts: Tensor, lengths: Tensor, size: int) -> Tensor:
    positions = torch.arange(size, device=starts.device)
    return ((positions >= starts[..., None]) & (positions < (starts + lengths)[..., None])).float()


def _window_grid(windows: Tensor, height: int, width: int) -> Tensor:
    """Where each output pixel looks, in the coordinates of `grid_sample`: [B, H, W, 2].

    A window has no rotation, so its two axes are independent: this costs a tenth of `affine_grid`.
    """
    tops, lefts, heights, widths = (column[:, None] for column in windows.unbind(-1))
    steps_y = (torch.arange(height, device=windows.device) + 0.5) / height
    steps_x = (torch.arange(width, device=windows.device) + 0.5) / width
    ys = 2.0 * (tops + heights * steps_y) / height - 1.0
    xs = 2.0 * (lefts + widths * steps_x) / width - 1.0
    shape = (len(windows), height, width)
    return torch.stack([xs[:, None, :].expand(shape), ys[:, :, None].expand(shape)], dim=-1)
