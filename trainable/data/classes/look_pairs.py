"""Two fixed views of each image of a split, to measure how well one finds the other."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from trainable.data.io.pixels import as_images, placed, take
from trainable.techniques.augment.two_views import TwoViews, TwoViewsConfig


class LookPairBatches:
    """Views (B, 2, 3, H, W) in [0, 1] of all images in order, with their row numbers (B,); the same in every epoch.

    No batch is smaller than `batch_size` unless there are fewer images: a contrastive loss needs company.
    """

    def __init__(self, images: np.ndarray, views: TwoViewsConfig, *, batch_size: int, device: torch.device) -> None:
        self._images, self._views = placed(images, device), views
        self._rows = np.array_split(np.arange(len(images)), max(1, len(images) // batch_size))

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for number, rows in enumerate(self._rows):
            # A batch's views depend on its number alone, so that ranks which divide the batches see the same.
            views = TwoViews(self._views, generator=torch.Generator().manual_seed(number))
            yield views.apply(as_images(take(self._images, (rows,))), torch.from_numpy(rows))
