"""Images to measure features on: a bank whose labels a probe may use, and queries whose labels it has to find."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainable.data.classes.labelled_images import LabelledImages
from trainable.data.io.epoch_batches import OrderedBatches
from trainable.data.io.pixels import as_images, place_pixels, take


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSet:
    """The queries of a split, and the bank they are compared with: labelled training images in every split."""

    bank: LabelledImages
    queries: LabelledImages

    def __len__(self) -> int:
        return len(self.queries)


class ProbeBatches(OrderedBatches):
    """The bank and then the queries, in order and unchanged: images, and targets with `label` and `is_query` (B,).

    No batch is smaller than `batch_size` unless there are fewer images: a contrastive loss needs company.
    """

    def __init__(self, data: ProbeSet, *, batch_size: int, device: torch.device) -> None:
        groups = []
        for part, is_query in ((data.bank, False), (data.queries, True)):
            images, labels = place_pixels(part.images, device), place_pixels(part.labels, device)
            for rows in np.array_split(np.arange(len(part)), max(1, len(part) // batch_size)):
                groups.append((images, labels, is_query, rows))
        super().__init__(groups, _probe_batch)


def _probe_batch(
    group: tuple[np.ndarray | Tensor, np.ndarray | Tensor, bool, np.ndarray],
) -> tuple[Tensor, dict[str, Tensor]]:
    images, labels, is_query, rows = group
    targets = {"label": take(labels, (rows,)), "is_query": torch.full((len(rows),), is_query)}
    return as_images(take(images, (rows,))), targets
