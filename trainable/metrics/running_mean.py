"""Means over samples, summed on the device and read once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(eq=False)
class RunningMeans:
    """Sample-weighted means of named scalars; a batch counts by its samples, for the names that it has."""

    _sums: dict[str, Tensor | float] = field(default_factory=dict, init=False)
    _counts: dict[str, int] = field(default_factory=dict, init=False)

    def add(self, means: Mapping[str, Tensor | float], num_samples: int) -> None:
        """Adds the means of a batch of `num_samples`, each a number or a scalar tensor."""
        for name, mean in means.items():
            value = mean.detach().float() if isinstance(mean, Tensor) else mean
            self._sums[name] = self._sums.get(name, 0.0) + value * num_samples
            self._counts[name] = self._counts.get(name, 0) + num_samples

    def state_dict(self) -> dict[str, object]:
        return {"sums": self._sums, "counts": self._counts}

    def merge(self, states: Sequence[dict]) -> None:
        """Replaces its sums by those of all `states`."""
        names = dict.fromkeys(name for state in states for name in state["sums"])
        self._sums = {name: sum(state["sums"].get(name, 0.0) for state in states) for name in names}
        self._counts = {name: sum(state["counts"].get(name, 0) for state in states) for name in names}

    def compute(self) -> dict[str, float]:
        """The means so far."""
        return {name: float(total) / self._counts[name] for name, total in self._sums.items()}
