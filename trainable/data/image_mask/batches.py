"""Batches of images and masks straight from the memory-mapped cache: no decoding, no worker processes.

Pixels are cut and mirrored as bytes, whole windows at a time. The order, the crops and the flips of an epoch depend on
(seed, epoch) alone, so that a resumed run sees what an uninterrupted one would have seen. With crops they depend on
`batch_size` too, because corners and flips are drawn batch by batch: half the micro-batch sees other crops.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainable.data.image_mask.image_mask_set import ImageMaskSet
from trainable.data.io.epoch_batches import EpochBatches, OrderedBatches
from trainable.data.io.pixels import as_images, place_pixels, take


@dataclass(frozen=True, slots=True, kw_only=True)
class CropConfig:
    """Random crops instead of whole images, for small objects in large pictures."""

    crop_px: int = 96
    """Side of the square crop in pixels."""
    crops_per_image: int = 3
    """How many crops of each image make an epoch."""
    foreground_share: float = 0.75
    """Share of the crops that are centred on a pixel of the object, 0 to 1."""

    def __post_init__(self) -> None:
        if self.crop_px < 16:
            raise ValueError(f"crop_px is {self.crop_px}; it must be 16 or more.")
        if self.crops_per_image < 1:
            raise ValueError(f"crops_per_image is {self.crops_per_image}; it must be 1 or more.")
        if not 0.0 <= self.foreground_share <= 1.0:
            raise ValueError(f"foreground_share is {self.foreground_share}; it must lie between 0 and 1.")


class TrainingBatches(EpochBatches):
    """Shuffled, flipped and, on request, cropped micro-batches of one epoch; call `set_epoch` before each.

    Yields images (B, 3, H, W) in [0, 1] in channels-last memory and masks (B, 1, H, W) of 0 and 1. The last two may
    be smaller.
    """

    def __init__(
        self, data: ImageMaskSet, *, batch_size: int, seed: int, device: torch.device, crop: CropConfig | None = None
    ) -> None:
        self._repeats = 1 if crop is None else crop.crops_per_image
        super().__init__(len(data) * self._repeats, batch_size=batch_size, seed=seed)
        self._crop = crop
        self._images, self._masks = place_pixels(data.images, device), place_pixels(data.masks, device)
        height, width = data.images.shape[1:3]
        if crop is not None and crop.crop_px > min(height, width):
            raise ValueError(f"crop_px is {crop.crop_px}, larger than the images, {width}x{height}; make it smaller.")
        self._window = (height, width) if crop is None else (crop.crop_px, crop.crop_px)
        self._foreground = None if crop is None else _ForegroundPixels(data.masks)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        rng = np.random.default_rng([self._seed, self._epoch])
        order = rng.permutation(np.repeat(np.arange(len(self._images)), self._repeats))
        for index in self._cut(order):
            yield self._gather(index, rng)

    def _gather(self, index: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Whole windows are copied and then mirrored: a hundredth of the time of picking their pixels one by one."""
        height, width = self._window
        tops, lefts = self._corners(index, rng)
        flipped = np.flatnonzero(rng.random(len(index)) < 0.5)
        corners = zip(index, tops, lefts, strict=True)
        windows = [(image, slice(top, top + height), slice(left, left + width)) for image, top, left in corners]
        copies = []
        for pixels in (self._images, self._masks):
            # On whichever side they lie.
            if isinstance(pixels, Tensor):
                copies.append(torch.stack([pixels[window] for window in windows]))
            else:
                copies.append(torch.from_numpy(np.stack([pixels[window] for window in windows])))
        images, masks = copies
        for image in flipped:
            # One image at a time stays in the cache; mirroring a batch of bytes takes eight times as long.
            images[image], masks[image] = images[image].flip(1), masks[image].flip(1)
        return as_images(images), masks.unsqueeze(1).float()

    def _corners(self, index: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        room = np.array(self._images.shape[1:3]) - np.array(self._window)
        corners = rng.integers(0, room + 1, size=(len(index), 2))
        if self._crop is not None and self._foreground is not None:
            centred = rng.random(len(index)) < self._crop.foreground_share
            centres = self._foreground.draw(index, rng)
            centred &= centres[:, 0] >= 0
            corners[centred] = np.clip(centres[centred] - np.array(self._window) // 2, 0, room)
        return corners[:, 0], corners[:, 1]


class EvaluationBatches(OrderedBatches):
    """Whole images in order, each with its mask at the mask's own resolution; a batch holds one mask size.

    Masks are unpacked from the shared map batch by batch, so that trials hold none of their own.
    """

    def __init__(self, data: ImageMaskSet, *, batch_size: int, device: torch.device) -> None:
        images = place_pixels(data.images, device)
        sizes: dict[tuple[int, ...], list[int]] = {}
        for index, size in enumerate(data.native_table[:, 1:].tolist()):
            sizes.setdefault(tuple(size), []).append(index)
        groups: list[np.ndarray] = []
        for group in sizes.values():
            # Parts as equal as can be: a last batch of one image takes the time of several.
            groups += np.array_split(group, -(-len(group) // batch_size))

        def batch(group: np.ndarray) -> tuple[Tensor, Tensor]:
            masks = np.stack([data.native_mask(index) for index in group])
            return as_images(take(images, (group,))), torch.from_numpy(masks).unsqueeze(1).float()

        super().__init__(groups, batch)


class _ForegroundPixels:
    """Draws a random foreground pixel of an image."""

    def __init__(self, masks: np.ndarray) -> None:
        pixels = [np.flatnonzero(mask) for mask in masks]
        self._pixels = np.concatenate(pixels) if pixels else np.empty(0, np.int64)
        self._counts = np.array([len(one) for one in pixels])
        self._starts = np.cumsum(self._counts) - self._counts
        self._width = masks.shape[2]

    def draw(self, index: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Rows and columns, shape (B, 2); -1 where the image has no object."""
        counts = self._counts[index]
        offsets = (rng.random(len(index)) * np.maximum(counts, 1)).astype(np.int64)
        places = np.minimum(self._starts[index] + offsets, max(len(self._pixels) - 1, 0))
        flat = np.where(counts > 0, self._pixels[places] if len(self._pixels) else 0, 0)
        return np.where(counts[:, None] > 0, np.stack(np.divmod(flat, self._width), axis=1), -1)
