"""The interface of an augmentation of whole batches, whose strength may follow the epoch; and changes of single images
of a batch, which leave the input unchanged and write each image once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor


class BatchAugmentation(Protocol):
    """Owns its random stream; the same state gives the same batches."""

    @property
    def current_strength(self) -> float: ...

    def update_epoch(self, epoch: float) -> None:
        """Called before each training epoch."""

    def apply(self, images: Tensor, targets: Any) -> tuple[Tensor, Any]:
        """The augmented batch; the inputs are never written to."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class OfFullStrength:
    """What does not depend on the epoch; its state is that of its random numbers, drawn on the CPU."""

    current_strength = 1.0
    generator: torch.Generator

    def update_epoch(self, epoch: float) -> None:
        """Nothing changes."""

    def state_dict(self) -> dict[str, Tensor]:
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.generator.set_state(state["generator"].cpu())


class Compose:
    """Several augmentations in turn; it reports the strength of the first."""

    def __init__(self, parts: Sequence[BatchAugmentation]) -> None:
        assert parts, "no augmentation to compose"
        self.parts = tuple(parts)

    @property
    def current_strength(self) -> float:
        return self.parts[0].current_strength

    def update_epoch(self, epoch: float) -> None:
        for part in self.parts:
            part.update_epoch(epoch)

    def apply(self, images: Tensor, targets: Any) -> tuple[Tensor, Any]:
        for part in self.parts:
            images, targets = part.apply(images, targets)
        return images, targets

    def state_dict(self) -> dict[str, Any]:
        return {str(index): part.state_dict() for index, part in enumerate(self.parts)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for index, part in enumerate(self.parts):
            part.load_state_dict(state[str(index)])


def sent(values: Tensor, images: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Values drawn on the CPU, where the images are, without waiting for what their device still computes.

    An Apple GPU may read the memory later than it is given back: there the copy is waited for.
    """
    return values.to(images.device, dtype, non_blocking=images.device.type != "mps")


Change = Callable[[Tensor], Tensor]
"""An image [C, H, W] to another one of its size."""


def changed_rows(images: Tensor, *steps: Mapping[int, Change]) -> Tensor:
    """Images [B, C, H, W], each through the changes that the steps list for its row: a new batch, unless none is.

    Made for few and large images, one at a time: an image stays in the cache from its first change to its last, and
    keeps its order of bytes in memory, where writing rows with an index takes up to four times as long.
    """
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
