"""Some images of a batch changed, the others copied, the input left alone: every image is written once.

Made for few and large images, one at a time: an image stays in the cache from its first change to its last, and keeps
its order of bytes in memory, where writing rows with an index takes up to four times as long.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

Change = Callable[[Tensor], Tensor]
"""An image [C, H, W] to another one of its size."""


def changed_rows(images: Tensor, *steps: Mapping[int, Change]) -> Tensor:
    """Images [B, C, H, W], each through the changes that the steps list for its row: a new batch, unless none is."""
    if not any(steps):
        return images
    changed = torch.empty_like(images)
    for row, image in enumerate(images):
        for step in steps:
            if row in step:
                image = step[row](image)
        changed[row] = image
    return changed


def with_rows(images: Tensor, rows: Sequence[int], others: Iterable[Tensor]) -> Tensor:
    """Images [B, C, H, W] with the others [C, H, W], one for each of the rows, in their places."""
    return changed_rows(images, {row: _replaced_by(other) for row, other in zip(rows, others, strict=True)})


def _replaced_by(other: Tensor) -> Change:
    return lambda _: other
