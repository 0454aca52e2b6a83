"""Which numbers a loader writes for black and white: augmentation that depends on light works in [0, 1].

What: values are `unit * scale + offset` per channel; `PixelRange` goes both ways. Needed only where a loader has
already normalised: clamping such images to [0, 1] would cut most of their pixels off.
Source: own.
Cost: one pass over the pixels each way.
Off: None in place of a `PixelRange`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class PixelRange:
    """Stored value = unit value * scale + offset, both [C, 1, 1]."""

    scale: Tensor
    offset: Tensor

    @classmethod
    def between(cls, low: float, high: float) -> Self:
        """The range of loaders that write black as `low` and white as `high`, for example 0 and 255."""
        if not low < high:
            raise ValueError(f"pixel range is {low} to {high}, but low must be below high: give black first.")
        return cls(torch.tensor([[[high - low]]]), torch.tensor([[[low]]]))

    @classmethod
    def normalised(cls, mean: Sequence[float], std: Sequence[float]) -> Self:
        """The range of loaders that subtract `mean` and divide by `std`, one number per channel."""
        if len(mean) != len(std) or not all(value > 0 for value in std):
            raise ValueError(
                f"mean {list(mean)} and std {list(std)} do not describe a normalisation: "
                "give one of each per channel, with every std above 0."
            )
        centre, spread = (torch.tensor(values)[:, None, None] for values in (mean, std))
        return cls(1.0 / spread, -centre / spread)

    def to_unit(self, images: Tensor) -> Tensor:
        return (images - self.offset.to(images)).div_(self.scale.to(images))

    def from_unit(self, images: Tensor) -> Tensor:
        return (images * self.scale.to(images)).add_(self.offset.to(images))


def check_unit_range(images: Tensor) -> None:
    """Raises ValueError when the pixels are not in [0, 1], where augmentation would clip what a loader normalised."""
    low, high = torch.aminmax(images)
    if low < 0 or high > 1:
        raise ValueError(
            f"The images reach from {low:.2f} to {high:.2f}, but augmentation works in [0, 1]; give the trainer "
            "pixel_range=PixelRange.normalised(mean, std) with what the loader used, or enable_progressive_aug=False."
        )
