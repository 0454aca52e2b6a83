"""One operation on many tensors at once: a few kernels in place of one for each tensor.

`torch.foreach` is public since torch 2.15. torch 2.11 to 2.14, which a machine with a GPU may have, know the same
operations under private names.
"""

import torch

_IS_PUBLIC = hasattr(torch, "foreach")

norms = torch.foreach.norm if _IS_PUBLIC else torch._foreach_norm
"""Of each tensor its 2-norm, as a tensor on the same device."""
lerp_ = torch.foreach.lerp_ if _IS_PUBLIC else torch._foreach_lerp_
"""Moves each tensor in place towards its partner by a weight."""
mul_ = torch.foreach.mul_ if _IS_PUBLIC else torch._foreach_mul_
"""Multiplies each tensor in place by a number."""
