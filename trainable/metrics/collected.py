"""Gathers values over the batches of a split, for metrics: sums, or the tensors themselves."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor


class SummedBatches:
    """Adds up numbers, tensors or lists in the attributes `_NAME` of its `sums`."""

    sums: ClassVar[tuple[str, ...]]

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, f"_{name}") for name in self.sums}

    def merge(self, states: Sequence[dict[str, Any]]) -> None:
        """Replaces its sums by those of all `states`, the parts of a split."""
        for name in self.sums:
            first, *others = (state[name] for state in states)
            setattr(self, f"_{name}", sum(others, start=first))


class CollectedBatches:
    """Keeps the tensors of each batch, for metrics that need a whole split at once."""

    collects: ClassVar[tuple[str, ...]]
    """Names of the tensors."""

    def __init__(self) -> None:
        self._parts: dict[str, list[Tensor]] = {name: [] for name in self.collects}

    def collect(self, *tensors: Tensor) -> None:
        """Adds the tensors of a batch, in the order of `collects`."""
        for parts, tensor in zip(self._parts.values(), tensors, strict=True):
            parts.append(tensor)

    def state_dict(self) -> dict[str, list[Tensor]]:
        return self._parts

    def merge(self, states: Sequence[dict[str, list[Tensor]]]) -> None:
        """Replaces its tensors by those of all `states`, the parts of a split."""
        self._parts = {name: [part for state in states for part in state[name]] for name in self.collects}

    def collected(self) -> list[Tensor]:
        """The tensors of all batches, concatenated, in the order of `collects`."""
        return [torch.cat(parts) for parts in self._parts.values()]
