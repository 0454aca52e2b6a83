"""Images to measure features on: a bank whose labels a probe may use, and queries whose labels it has to find."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainable.data.classes.labelled_images import LabelledImages
from trainable.data.io.pixels import as_images, place_pixels, take


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSet:
    """The bank is labelled training data in every split, so that no query ever tells its label."""

    bank: LabelledImages
    queries: LabelledImages

    def __len__(self) -> int:
        return len(self.queries)


class ProbeBatches:
    """The bank and then the queries, in order and unchanged: images, and targets with `label` and `is_query` (B,).

    No batch is smaller than `batch_size` unless there are fewer images: a contrastive loss needs company.
    """

    def __init__(self, data: ProbeSet, *, batch_size: int, device: torch.device) -> None:
        self._parts = []
        for images, is_query in ((data.bank, False), (data.queries, True)):
            rows = np.array_split(np.arange(len(images)), max(1, len(images) // batch_size))
            self._parts.append(
                (place_pixels(images.images, device), place_pixels(images.labels, device), is_query, rows)
            )

    def __len__(self) -> int:
        return sum(len(rows) for *_, rows in self._parts)

    def __iter__(self) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        for images, labels, is_query, batches in self._parts:
            for rows in batches:
                targets = {"label": take(labels, (rows,)), "is_query": torch.full((len(rows),), is_query)}
                yield as_images(take(images, (rows,))), targets
