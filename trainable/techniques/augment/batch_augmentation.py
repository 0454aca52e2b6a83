"""What the trainer asks of an augmentation of whole batches, on the device, with a strength that follows training."""

from collections.abc import Sequence
from typing import Any, Protocol

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


class Compose:
    """Several augmentations one after another; the strength that is reported is the first one's."""

    def __init__(self, parts: Sequence[BatchAugmentation]) -> None:
        assert parts, "nothing to do in turn"
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
