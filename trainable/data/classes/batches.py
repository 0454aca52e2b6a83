"""Batches of labelled images straight from the memory-mapped cache: no decoding, no worker processes.

The order of an epoch depends on (seed, epoch) alone, so that a resumed run sees what an uninterrupted one would have
seen. Training images are not augmented here: that happens on the device, in `trainable/techniques`.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from trainable.data.classes.labelled_images import LabelledImages
from trainable.data.io.epoch_batches import EpochBatches, OrderedBatches
from trainable.data.io.pixels import as_images, place_pixels, take
from trainable.techniques.augment.two_views import TwoViews, TwoViewsConfig


class LabelledTrainingBatches(EpochBatches):
    """Shuffled micro-batches of one epoch; call `set_epoch` before each.

    Yields images (B, 3, H, W) in [0, 1] in channels-last memory and labels int64 (B,) or (B, T). The last two may
    be smaller.

    Args:
        max_batches: most batches of an epoch, each epoch another selection; None is all.
    """

    def __init__(
        self,
        data: LabelledImages,
        *,
        batch_size: int,
        seed: int,
        device: torch.device,
        max_batches: int | None = None,
    ) -> None:
        super().__init__(len(data), batch_size=batch_size, seed=seed, max_batches=max_batches)
        self._images, self._labels = place_pixels(data.images, device), place_pixels(data.labels, device)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = np.random.default_rng([self._seed, self._epoch]).permutation(len(self._images))
        for rows in self._cut(order):
            yield as_images(take(self._images, (rows,))), take(self._labels, (rows,))


class LabelledEvaluationBatches(OrderedBatches):
    """All images in order and unchanged, in the form of the training batches."""

    def __init__(self, data: LabelledImages, *, batch_size: int, device: torch.device) -> None:
        images, labels = place_pixels(data.images, device), place_pixels(data.labels, device)
        groups = np.split(np.arange(len(data)), range(batch_size, len(data), batch_size))
        super().__init__(groups, lambda rows: (as_images(take(images, (rows,))), take(labels, (rows,))))


class ViewPairBatches(OrderedBatches):
    """Two fixed views of each image of a split, to measure how well one finds the other.

    Views (B, 2, 3, H, W) in [0, 1] of all images in order, with their row numbers (B,); the same in every epoch.

    No batch is smaller than `batch_size` unless there are fewer images: a contrastive loss needs company.
    """

    def __init__(self, images: np.ndarray, views: TwoViewsConfig, *, batch_size: int, device: torch.device) -> None:
        pixels = place_pixels(images, device)

        def batch(group: tuple[int, np.ndarray]) -> tuple[Tensor, Tensor]:
            number, rows = group
            # A batch's views depend on its number alone, so that ranks which divide the batches see the same.
            draws = TwoViews(views, generator=torch.Generator().manual_seed(number))
            return draws.apply(as_images(take(pixels, (rows,))), torch.from_numpy(rows))

        rows = np.array_split(np.arange(len(images)), max(1, len(images) // batch_size))
        super().__init__(list(enumerate(rows)), batch)
