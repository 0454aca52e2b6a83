"""A copy to the device that computes, for which nothing waits; and waiting for that device, to take its time."""

import torch
from torch import Tensor


def sent_to(device: torch.device, values: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Values of the CPU on the device, without waiting for what it still computes; those that lie there as they are.

    An Apple GPU may read the memory later than it is given back: there the copy is waited for.
    """
    return values.to(device, dtype, non_blocking=device.type != "mps")


def wait_for(device: torch.device) -> None:
    """Returns when the device has computed everything that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    if device.type == "mps":
        torch.mps.synchronize()
