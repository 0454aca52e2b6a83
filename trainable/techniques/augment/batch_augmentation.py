"""The interface of an augmentation of whole batches, whose strength may follow the epoch; and changes of single images
of a batch, which leave the input unchanged and write each image once.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import torch
from torch import Tensor

from trainable.device_copy import sent_to


class BatchAugmentation(ABC):
    """Owns its random stream; the same state gives the same batches. Without overrides the epoch changes nothing."""

    generator: torch.Generator
    """Generator on the CPU."""
    current_epoch: float = 0
    """The present training epoch; fractions of one count."""

    @property
    def current_strength(self) -> float:
        return 1.0

    def update_epoch(self, epoch: float) -> None:
        """Called before each training epoch; sets `current_epoch`."""
        self.current_epoch = epoch

    @abstractmethod
    def apply(self, images: Tensor, targets: Any) -> tuple[Tensor, Any]:
        """The augmented batch; the inputs are never written to."""

    def state_dict(self) -> dict[str, Any]:
        """State of the random generator; the settings are not part of it."""
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the generator; the settings stay those of this object."""
        self.generator.set_state(state["generator"].cpu())


@dataclass(eq=False)
class RampedAugmentation(BatchAugmentation):
    """An augmentation whose strength rises over `transition_duration` epochs from `transition_epoch` on."""

    initial_strength: float
    max_strength: float
    transition_epoch: float
    transition_duration: float
    _: KW_ONLY
    generator: torch.Generator
    """Generator on the CPU, with its own seed in each process."""
    _has_seen_pixels: bool = field(default=False, init=False)

    @property
    def current_strength(self) -> float:
        """Strength at `current_epoch`, which may be fractional."""
        since = self.current_epoch - self.transition_epoch
        if since < 0:
            return self.initial_strength
        if self.current_epoch >= self.transition_epoch + self.transition_duration:
            return self.max_strength
        return self.initial_strength + (self.max_strength - self.initial_strength) * since / self.transition_duration

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.current_epoch} | super().state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.update_epoch(state["epoch"])


class Compose(BatchAugmentation):
    """Applies several augmentations in turn; its strength is that of the first."""

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
        return {str(index): {"kind": type(part).__name__, **part.state_dict()} for index, part in enumerate(self.parts)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Each part takes the first state of its kind; one that was off then starts from its initial state."""
        left = list(state.values())
        for part in self.parts:
            kind = type(part).__name__
            # Older states have no kind: they are matched by order.
            places = [place for place, one in enumerate(left) if one.get("kind", kind) == kind]
            if places:
                part.load_state_dict(left.pop(places[0]))


def sent(values: Tensor, images: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Values drawn on the CPU, where the images are, without waiting for what their device still computes."""
    return sent_to(images.device, values, dtype)


def per_image(values: Tensor) -> Tensor:
    """Reshapes values [B] to [B, 1, 1, 1], for images [B, C, H, W]."""
    return values[:, None, None, None]


Change = Callable[[Tensor], Tensor]
"""An image [C, H, W] to another one of its size."""


def change_rows(images: Tensor, *steps: Mapping[int, Change]) -> Tensor:
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
    """Images [B, C, H, W] with the others [C, H, W], one for each of the rows, in their places: a new batch, unless
    there is none.
    """
    if not rows:
        return images
    replaced = torch.empty_like(images)
    by_row = dict(zip(rows, others, strict=True))
    for row, image in enumerate(images):
        replaced[row] = by_row.get(row, image)
    return replaced
