"""Temperature calibration: one number that makes a classifier's confidence mean what it says.

What: logits are divided by the temperature that maximises the likelihood of the validation split, and scored on the
test split. The order of the classes, and with it the predicted class, stays the same.
Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, https://arxiv.org/abs/1706.04599.
Cost: one pass over the validation split, then milliseconds. Off: the uncalibrated metrics are reported beside it.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from trainable.metrics.classification import ClassificationMetrics, SeveralClassifications
from trainable.metrics.collected import CollectedBatches

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0
_STEPS = 60
_GOLDEN = (math.sqrt(5) - 1) / 2


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature of least cross-entropy for logits (N, K) and labels (N,); -1 marks a missing label.

    The cross-entropy is convex in 1 / temperature, so that a golden-section search finds the one minimum.
    """
    known = labels >= 0
    logits, labels = logits[known].double(), labels[known]
    if not len(labels):
        raise ValueError("A temperature needs labelled images to be fitted on; there are none.")

    def loss(log_temperature: float) -> float:
        return float(F.cross_entropy(logits / math.exp(log_temperature), labels))

    low, high = math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE)
    for _ in range(_STEPS):
        step = _GOLDEN * (high - low)
        low, high = (low, low + step) if loss(high - step) < loss(low + step) else (high - step, high)
    return math.exp((low + high) / 2)


class CollectedLogits(CollectedBatches):
    """Collects probabilities (B, K) of a whole split as logits, with their labels, to fit a temperature."""

    collects = ("logits", "labels")

    def update(self, scores: Tensor, targets: Tensor) -> None:
        self.collect(scores.clamp_min(torch.finfo(scores.dtype).tiny).log(), targets)

    def compute(self) -> dict[str, float]:
        return {"temperature": fit_temperature(*self.collected())}


def calibrate(probabilities: Tensor, temperature: float) -> Tensor:
    """Probabilities (B, K) after scaling by a temperature; 1 changes nothing."""
    return (probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log() / temperature).softmax(dim=1)


class CalibratedMetrics(SeveralClassifications):
    """`ClassificationMetrics`, and beside them `calibrated_ece`, `calibrated_nll` and the `temperature`."""

    def __init__(self, class_names: Sequence[str], *, temperature: float) -> None:
        self._temperature = temperature
        super().__init__({name: ClassificationMetrics(class_names) for name in ("plain", "calibrated")})

    def update(self, scores: Tensor, targets: Tensor) -> None:
        self.parts["plain"].update(scores, targets)
        self.parts["calibrated"].update(calibrate(scores.double(), self._temperature), targets)

    def compute(self) -> dict[str, float]:
        after = self.parts["calibrated"].compute()
        changed = {f"calibrated_{name}": after[name] for name in ("ece", "nll")}
        return self.parts["plain"].compute() | changed | {"temperature": self._temperature}
