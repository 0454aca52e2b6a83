"""Means over samples, summed on the device and read once."""

from collections.abc import Mapping, Sequence

from torch import Tensor


class RunningMeans:
    """Sample-weighted means of named scalars; batches of any size count by their samples."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor | float] = {}
        self._num_samples = 0

    def add(self, means: Mapping[str, Tensor | float], num_samples: int) -> None:
        """Adds the means of a batch of `num_samples`, each a number or a scalar tensor."""
        for name, mean in means.items():
            value = mean.detach().float() if isinstance(mean, Tensor) else mean
            self._sums[name] = self._sums.get(name, 0.0) + value * num_samples
        self._num_samples += num_samples

    def state_dict(self) -> dict[str, object]:
        return {"sums": self._sums, "num_samples": self._num_samples}

    def merge(self, states: Sequence[dict]) -> None:
        """Takes the sums of all `states` in place of its own."""
        given = [state for state in states if state["num_samples"]]
        names = given[0]["sums"] if given else {}
        self._sums = {name: sum(state["sums"][name] for state in given) for name in names}
        self._num_samples = sum(state["num_samples"] for state in given)

    def compute(self) -> dict[str, float]:
        """The means so far; raises ValueError when nothing was added."""
        if not self._sums:
            raise ValueError("No batch was added; the loader was empty.")
        return {name: float(total) / self._num_samples for name, total in self._sums.items()}
