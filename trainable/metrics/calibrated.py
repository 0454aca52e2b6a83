"""Metrics of a classifier, with its calibration error and likelihood once more at a fitted temperature."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from trainable.metrics.classification import ClassificationMetrics
from trainable.techniques.calibration import calibrated


class CalibratedMetrics:
    """`ClassificationMetrics`, and beside them `calibrated_ece`, `calibrated_nll` and the `temperature`."""

    def __init__(self, class_names: Sequence[str], *, temperature: float) -> None:
        self._temperature = temperature
        self._plain, self._calibrated = ClassificationMetrics(class_names), ClassificationMetrics(class_names)

    def update(self, scores: Tensor, targets: Tensor) -> None:
        self._plain.update(scores, targets)
        self._calibrated.update(calibrated(scores.double(), self._temperature), targets)

    def state_dict(self) -> dict[str, Any]:
        return {"plain": self._plain.state_dict(), "calibrated": self._calibrated.state_dict()}

    def merge(self, states: Sequence[dict[str, Any]]) -> None:
        """Takes the sums of all `states` in place of its own."""
        self._plain.merge([state["plain"] for state in states])
        self._calibrated.merge([state["calibrated"] for state in states])

    def compute(self) -> dict[str, float]:
        after = self._calibrated.compute()
        changed = {f"calibrated_{name}": after[name] for name in ("ece", "nll")}
        return self._plain.compute() | changed | {"temperature": self._temperature}
