"""Private parts of torch, used in this file alone; tests/trainable/test_torch_contract.py holds each torch to them.

torch 2.11 to 2.14, which a machine with a GPU may have, know the first four under their private names alone. The public
`torch.foreach` of 2.15 does the same to the bit, but examines its arguments in Python: 20 to 30 us a call in a training
step of 2.5 ms (2026-12-01).
"""

import torch
import torch._functorch.config
from torch import Tensor
from torch.distributions import Gamma

norms = torch._foreach_norm
"""2-norm of each of many tensors, as a tensor on the same device, in a few kernels."""
lerp_ = torch._foreach_lerp_
"""Moves each of many tensors in place towards its partner by a weight."""
mul_ = torch._foreach_mul_
"""Multiplies each of many tensors in place by a number."""

SAMPLES_FROM_GENERATOR = hasattr(torch, "foreach")
"""Whether `Gamma.sample` takes a generator, which it does since the torch that has `torch.foreach`."""


def gamma_draws(concentrations: Tensor, generator: torch.Generator) -> Tensor:
    """Draws from gamma distributions of rate 1, one for each concentration."""
    if SAMPLES_FROM_GENERATOR:
        return Gamma(concentrations, torch.ones_like(concentrations)).sample(generator=generator)
    return torch._standard_gamma(concentrations, generator=generator)


def keep_backward_buffers() -> None:
    """Networks compiled from now on take more than one backward pass, as `retain_graph` asks, for more memory.

    By default the first pass gives its buffers away, and a second one is an error that names this switch.
    """
    torch._functorch.config.donated_buffer = False
