"""Types that a checkpoint can hold and that are read without running code: tensors, numbers, text, lists and dicts."""

import io
from collections.abc import Mapping

import torch

PLAIN = "a checkpoint holds tensors, numbers, text, lists and dicts alone"


def not_plain(state: Mapping[str, object]) -> list[str]:
    """Names of other types in a state, such as a class; empty if all of it is plain."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(file))
