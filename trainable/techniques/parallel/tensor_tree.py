"""Tensors inside tuples, lists and dictionaries: batches, predictions and states."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor


def map_tensors(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """Applies `function` to each tensor and its counterparts in the others, and keeps the structure.

    Whatever is neither a tensor nor a tuple, list or dictionary stays as it is.

    Raises:
        ValueError: the others have another structure, or hold something else than tensors.
    """
    if isinstance(tree, Tensor):
        return function(tree, *others)
    if any(type(other) is not type(tree) for other in others):
        raise ValueError(f"the structures differ: {', '.join(type(one).__name__ for one in (tree, *others))}")
    if isinstance(tree, dict):
        if any(other.keys() != tree.keys() for other in others):
            raise ValueError(f"the dictionaries differ in their keys: {[list(one) for one in (tree, *others)]}")
        return {key: map_tensors(function, tree[key], *(other[key] for other in others)) for key in tree}
    if isinstance(tree, list | tuple):
        parts = [map_tensors(function, *places) for places in zip(tree, *others, strict=True)]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    if others:
        raise ValueError(f"{tree!r} is not a tensor")
    return tree


def copied(tree: Any, device: torch.device | str | None = None) -> Any:
    """Copies tensors to `device`, by default the one they are on; also copies everything else."""
    copies: dict[int, Any] = {}

    def copy_once(tensor: Tensor) -> Tensor:
        return copies.setdefault(id(tensor), tensor.detach().to(device or tensor.device, copy=True))

    map_tensors(copy_once, tree)
    # Not what `map_tensors` returns: the state of a module also carries the versions of its parts.
    return deepcopy(tree, copies)
