"""Batches of a task taken apart into images, and images put together as batches: tensors, lists, tuples, dicts."""

from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor


def row_of(values: Any, row: int) -> Any:
    """Returns one image's part of a batch: a row of a tensor or list, or of each in a tuple or dict."""
    if isinstance(values, dict):
        return {name: row_of(one, row) for name, one in values.items()}
    return tuple(row_of(one, row) for one in values) if isinstance(values, tuple) else values[row]


def alone(values: Any, row: int) -> Any:
    """Returns one image as a batch of its own, which shares no memory with the others."""
    if isinstance(values, dict):
        return {name: alone(one, row) for name, one in values.items()}
    if isinstance(values, tuple):
        return tuple(alone(one, row) for one in values)
    part = values[row : row + 1]
    return part.clone() if isinstance(part, Tensor) else part


def join_batches(batches: Sequence[Any]) -> Any:
    """Joins batches of one form into one."""
    first = batches[0]
    if isinstance(first, dict):
        return {name: join_batches([one[name] for one in batches]) for name in first}
    if isinstance(first, tuple):
        return tuple(join_batches(parts) for parts in zip(*batches, strict=True))
    return torch.cat(list(batches)) if isinstance(first, Tensor) else [one for batch in batches for one in batch]


def form_of(values: Any) -> Hashable:
    """Key that is equal for batches that can be joined: the shapes of tensors without the number of images."""
    if isinstance(values, dict):
        return tuple((name, form_of(one)) for name, one in values.items())
    if isinstance(values, tuple):
        return tuple(map(form_of, values))
    return tuple(values.shape[1:]) if isinstance(values, Tensor) else None
