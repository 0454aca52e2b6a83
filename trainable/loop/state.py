"""The state of what a loop names: anything with `state_dict`, a random generator, or a dict of plain values."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from trainable.loop.loop_error import LoopError
from trainable.plain_state import PLAIN, not_plain
from trainable.techniques.checkpoint import counts_on_cpu


def check_states(states: Mapping[str, Any]) -> None:
    """Raises LoopError for an object whose state can't be saved and restored."""
    for name, state in states.items():
        has_state = callable(getattr(state, "state_dict", None)) and callable(getattr(state, "load_state_dict", None))
        if not has_state and not isinstance(state, dict | torch.Generator):
            raise LoopError(
                f"{name} is a {type(state).__name__} without state_dict and load_state_dict; name a model, an "
                "optimizer or the like, a torch.Generator, or a dict of plain values."
            )


def state_of(state: Any) -> Any:
    """Returns the state as tensors and plain values."""
    if isinstance(state, torch.Generator):
        return state.get_state()
    if isinstance(state, dict):
        return {name: value.item() if isinstance(value, np.generic) else value for name, value in state.items()}
    return state.state_dict()


def restore_state(state: Any, saved: Any) -> None:
    """Brings the object back to a state of `state_of`."""
    if isinstance(state, torch.Generator):
        state.set_state(saved.cpu())
    elif isinstance(state, dict):
        state.clear()
        state.update(saved)
    elif isinstance(state, torch.optim.Optimizer):
        state.load_state_dict(counts_on_cpu(saved))
    else:
        state.load_state_dict(saved)


def check_plain(states: Mapping[str, Any]) -> None:
    """Raises LoopError for a state that a file without pickled code can't hold."""
    for name, state in states.items():
        unsafe = not_plain(state)
        if unsafe:
            raise LoopError(
                f"the state of {name} holds {', '.join(unsafe)}; {PLAIN}: convert it, or leave it out of epochs()."
            )
