"""What torch 2.15 made public, under the private names of torch 2.11 to 2.14, which a machine with a GPU may have; and
a switch that no torch has made public.

Both names do the same to the bit; `tests/trainable/test_torch_contract.py` holds each torch to it.
"""

import torch
import torch._functorch.config
from torch import Tensor
from torch.distributions import Gamma

IS_PUBLIC = hasattr(torch, "foreach")

norms = torch.foreach.norm if IS_PUBLIC else torch._foreach_norm
"""2-norm of each of many tensors, as a tensor on the same device, in a few kernels."""
lerp_ = torch.foreach.lerp_ if IS_PUBLIC else torch._foreach_lerp_
"""Moves each of many tensors in place towards its partner by a weight."""
mul_ = torch.foreach.mul_ if IS_PUBLIC else torch._foreach_mul_
"""Multiplies each of many tensors in place by a number."""


def gamma_draws(concentrations: Tensor, generator: torch.Generator) -> Tensor:
    """Draws from gamma distributions of rate 1, one for each concentration."""
    if IS_PUBLIC:
        return Gamma(concentrations, torch.ones_like(concentrations)).sample(generator=generator)
    return torch._standard_gamma(concentrations, generator=generator)


def keep_backward_buffers() -> None:
    """Networks compiled from now on take more than one backward pass, as `retain_graph` asks, for more memory.

    By default the first pass gives its buffers away, and a second one is an error that names this switch.
    """
    torch._functorch.config.donated_buffer = False
