"""What the trainer asks of an augmentation of whole batches, on the device, with a strength that follows training."""

from typing import Any, Protocol

from torch import Tensor


class BatchAugmentation(Protocol):
    """Owns its random stream; the same state gives the same batches."""

    current_strength: float

    def update_epoch(self, epoch: float) -> None:
        """Called before each training epoch."""

    def apply(self, images: Tensor, targets: Any) -> tuple[Tensor, Any]:
        """The augmented batch; the inputs are never written to."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...
