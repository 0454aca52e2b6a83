"""The interface of all ways to show judged images."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from tuner.results.samples import Confusion, Sample


class JudgedImage(NamedTuple):
    """One image (3, H, W) in [0, 1], or two looks at it (2, 3, H, W), its target, and each network's scores by name.

    The networks are `default` and `exported`; `exported` alone where the default is exported.
    """

    pixels: Tensor
    target: Any
    scores: Mapping[str, Any]
    place: int = 0
    """Position in the order of the final test."""


class Kind(ABC):
    """Turns judged images into samples."""

    score: str
    """Description of the scores of its samples."""
    in_rows: bool = False
    """Whether the pictures are wide, and shown below each other."""

    @abstractmethod
    def sample(self, number: int, images: Sequence[JudgedImage]) -> Sample:
        """Builds the sample of one of the images."""

    def counts(self, targets: Any) -> bool:
        """Whether a batch with these targets consists of test images, not of a probe's bank."""
        return True

    def confusions(self, images: Sequence[JudgedImage]) -> list[Confusion]:
        """Confusion matrices; empty if there are no classes."""
        return []
