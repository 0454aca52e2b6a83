"""Means over samples, summed on the device and read once."""

from collections.abc import Mapping

import torch
from torch import Tensor


class RunningMeans:
    """Sample-weighted means of named scalars; batches of any size count by their samples."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._num_samples = 0

    def add(self, means: Mapping[str, Tensor | float], num_samples: int) -> None:
        """Adds the means of a batch of `num_samples`, each a number or a scalar tensor."""
        for name, mean in means.items():
            self._sums[name] = self._sums.get(name, 0.0) + torch.as_tensor(mean).detach().float() * num_samples
        self._num_samples += num_samples

    def compute(self) -> dict[str, float]:
        """The means so far; raises ValueError when nothing was added."""
        if not self._sums:
            raise ValueError("No batch was added; the loader was empty.")
        values = (torch.stack([value.cpu() for value in self._sums.values()]) / self._num_samples).tolist()
        return dict(zip(self._sums, values, strict=True))
