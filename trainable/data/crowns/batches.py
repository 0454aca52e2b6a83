"""Batches of tiles with their crowns: turned and flipped, and small at first where a training begins at low resolution.

Order, turns and flips of an epoch depend on (seed, epoch) alone, so that a resumed run sees what an uninterrupted one
would have seen.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from trainable.data.crowns.crown_set import CrownSet
from trainable.data.io.epoch_batches import EpochBatches, OrderedBatches
from trainable.data.io.pixels import as_images
from trainable.techniques.progressive_resolution import ProgressiveResolution

Target = dict[str, Tensor]
"""See CrownTarget in trainable/losses/crowns.py."""
Batch = tuple[Tensor, list[Target]]


class CrownTrainingBatches(EpochBatches):
    """Shuffled micro-batches of one epoch, each tile in one of its eight orientations; call `set_epoch` before each.

    Yields images (B, 3, S, S) in [0, 1] and a target for each. The last two may be smaller.
    """

    def __init__(
        self, data: CrownSet, *, batch_size: int, seed: int, resolution: ProgressiveResolution | None = None
    ) -> None:
        super().__init__(len(data), batch_size=batch_size, seed=seed)
        self._data, self._resolution = data, resolution

    def __iter__(self) -> Iterator[Batch]:
        rng = np.random.default_rng([self._seed, self._epoch])
        order, tile_px = rng.permutation(len(self._data)), self._data.images.shape[1]
        side = tile_px if self._resolution is None else self._resolution.side_px(tile_px, self._epoch)
        for rows in self._cut(order):
            batch = gather_tiles(self._data, rows, orientations=rng.integers(0, 8, len(rows)))
            yield batch if side == tile_px else resize_batch(batch, side)


class CrownEvaluationBatches(OrderedBatches):
    """All tiles in order, as they are."""

    def __init__(self, data: CrownSet, *, batch_size: int) -> None:
        groups = np.split(np.arange(len(data)), range(batch_size, len(data), batch_size))
        super().__init__(groups, lambda rows: gather_tiles(data, rows, orientations=np.zeros(len(rows), np.int64)))


def gather_tiles(data: CrownSet, rows: np.ndarray, *, orientations: np.ndarray) -> Batch:
    """The tiles of these rows, each in its orientation, 0 (as it is) to 7."""
    pixels = np.stack([orient(data.images[row], way) for row, way in zip(rows, orientations, strict=True)])
    images = as_images(torch.from_numpy(pixels))
    return images, [_target(data, int(row), int(way)) for row, way in zip(rows, orientations, strict=True)]


def orient(picture: np.ndarray, orientation: int) -> np.ndarray:
    """A square picture turned by quarters, and flipped from 4 on; the first two axes are rows and columns."""
    turned = np.rot90(picture, orientation % 4)
    return turned[:, ::-1] if orientation >= 4 else turned


def resize_batch(batch: Batch, side_px: int) -> Batch:
    """The batch at another resolution; crowns that would vanish are left out."""
    images, targets = batch
    images = F.interpolate(images, size=(side_px, side_px), mode="bilinear", antialias=True, align_corners=False)
    smaller = []
    for target in targets:
        masks = _nearest(target["masks"], side_px)
        kept = masks.flatten(1).bool().any(dim=1)
        masks = masks[kept]
        semantic = _nearest(target["semantic"][None], side_px)[0]
        crowns = {"masks": masks, "labels": target["labels"][kept], "boxes": boxes_around(masks)}
        smaller.append(target | crowns | {"semantic": semantic})
    return images, smaller


def _target(data: CrownSet, row: int, orientation: int) -> Target:
    side = data.images.shape[1]
    crowns, masks = data.crowns_of(row), []
    for crown in crowns:
        left, top, right, bottom = crown.box
        whole = np.zeros((side, side), np.uint8)
        whole[top:bottom, left:right] = crown.mask
        masks.append(orient(whole, orientation))
    semantic = np.array(orient(data.semantic[row], orientation))
    stacked = torch.from_numpy(np.stack(masks)) if masks else torch.zeros(0, side, side, dtype=torch.uint8)
    return {
        "boxes": boxes_around(stacked),
        "labels": torch.tensor([crown.label for crown in crowns], dtype=torch.int64),
        "masks": stacked,
        "semantic": torch.from_numpy(semantic).long(),
        "has_instances": torch.tensor(bool(data.has_crowns[row])),
    }


def boxes_around(masks: Tensor) -> Tensor:
    """Left, top, right and bottom of each mask (n, H, W), the last two beyond it; float (n, 4)."""
    ends = []
    for axis in (1, 2):
        occupied = masks.any(dim=axis).to(torch.uint8)
        ends.append((occupied.argmax(dim=1), occupied.shape[1] - occupied.flip(1).argmax(dim=1)))
    (left, right), (top, bottom) = ends
    return torch.stack([left, top, right, bottom], dim=1).float()


def _nearest(maps: Tensor, side_px: int) -> Tensor:
    if len(maps) == 0:
        return maps.new_zeros(0, side_px, side_px)
    small = F.interpolate(maps[:, None].float(), size=(side_px, side_px), mode="nearest-exact")
    return small[:, 0].to(maps.dtype)
