"""The metrics of camouflaged object segmentation, accumulated over batches and averaged over images.

What: S-, E- and F-measure, MAE, IoU and Dice by the literature's protocol. Every metric is computed per image; curves
are averaged over images first, and their mean and maximum over the 256 thresholds are taken after. IoU and Dice are
of the plain probability at 0.5, per image, and 1 where mask and decision are both empty. Images with an empty mask
count like all others; `num_empty_masks` says how many there were. `constant_share` is the share of images whose
decision at 0.5 is all 0 or all 1 while their mask is neither.
Source: the modules this one composes, each with its own; equal to PySODMetrics 1.6.2.
Cost: one pass over the pixels of a batch (trainable/metrics/level_histogram.py), arithmetic on the counts of 64 images
at a time; one read from the device, in `compute`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from trainable.metrics.confusion import dice, e_measure, f_measure, iou
from trainable.metrics.level_histogram import (
    ADAPTIVE,
    EVERY_THRESHOLD,
    ONE_HALF,
    LevelHistogram,
    count_pixels,
    stretched_levels,
)
from trainable.metrics.structure import s_measure
from trainable.metrics.weighted_f import weighted_f_measure

METRIC_NAMES = (
    "s_measure",
    "e_measure_adaptive",
    "e_measure_mean",
    "e_measure_max",
    "f_measure_adaptive",
    "f_measure_mean",
    "f_measure_max",
    "mae",
    "iou",
    "dice",
    "num_empty_masks",
    "constant_share",
)
_IMAGES_TOGETHER = 64
"""Small batches are computed together: for a few hundred numbers the call itself is the cost."""


class CamouflageMetrics:
    """Sums per-image metrics on the device of the predictions; batches may differ in number and size of images.

    Args:
        weighted_f: adds `weighted_f_measure`, which moves every batch to the CPU.
        min_max_normalise: stretches each prediction to [0, 1] first, as the common protocol does.
    """

    def __init__(self, *, weighted_f: bool = False, min_max_normalise: bool = True) -> None:
        self.weighted_f = weighted_f
        self.min_max_normalise = min_max_normalise
        self._sums: dict[str, Tensor] = {}
        self._waiting: list[Tensor] = []
        self._reach: Tensor | None = None
        self._num_images = 0

    @property
    def names(self) -> tuple[str, ...]:
        return (*METRIC_NAMES, "weighted_f_measure") if self.weighted_f else METRIC_NAMES

    @torch.no_grad()
    def update(self, probabilities: Tensor, masks: Tensor) -> None:
        """Adds a batch of probabilities in [0, 1] and masks of 0 and 1, both (B, 1, H, W)."""
        counts, reach = count_pixels(probabilities, masks)
        if self.weighted_f:
            histogram = LevelHistogram.of_counts(counts, min_max_normalise=self.min_max_normalise)
            stretched = stretched_levels(probabilities, histogram)
            self._add({"weighted_f_measure": weighted_f_measure(stretched, masks)})
        # Checked in `compute`: here it would wait for the device at every batch.
        self._reach = reach if self._reach is None else torch.maximum(self._reach, reach)
        self._num_images += len(masks)
        self._waiting.append(counts)
        if sum(map(len, self._waiting)) >= _IMAGES_TOGETHER:
            self._add_waiting()

    def compute(self) -> dict[str, float]:
        """The averages over all images so far, by name; all NaN when a prediction was.

        Raises:
            ValueError: there were no images, or values outside [0, 1].
        """
        if not self._num_images or self._reach is None:
            raise ValueError("No image was given to the metrics; the loader was empty.")
        self._add_waiting()
        means = {name: total / self._num_images for name, total in self._sums.items()}
        for curve in ("e_measure", "f_measure"):
            values = means.pop(curve)
            means |= {f"{curve}_mean": values.mean(), f"{curve}_max": values.max()}
        means["num_empty_masks"] = self._sums["num_empty_masks"]
        ordered = torch.stack([means[name] for name in self.names])
        *averages, below, above, below_mask, above_mask = torch.cat([ordered, self._reach]).tolist()
        if math.isnan(above):
            return dict.fromkeys(self.names, math.nan)
        _check_range("Probabilities", -below, above, "apply torch.sigmoid to logits")
        _check_range("Masks", -below_mask, above_mask, "divide 8-bit masks by 255")
        return dict(zip(self.names, averages, strict=True))

    def state_dict(self) -> dict[str, Any]:
        self._add_waiting()
        return {"sums": self._sums, "reach": self._reach, "num_images": self._num_images}

    def merge(self, states: Sequence[dict[str, Any]]) -> None:
        """Replaces its sums by those of all `states`, the parts of a split."""
        given = [state for state in states if state["num_images"]]
        names = given[0]["sums"] if given else {}
        self._sums = {name: sum(state["sums"][name] for state in given) for name in names}
        self._waiting = []
        self._reach = torch.stack([state["reach"] for state in given]).amax(dim=0) if given else None
        self._num_images = sum(state["num_images"] for state in given)

    def _add_waiting(self) -> None:
        if self._waiting:
            counts = torch.cat(self._waiting)
            self._add(_per_image(LevelHistogram.of_counts(counts, min_max_normalise=self.min_max_normalise)))
            self._waiting = []

    def _add(self, per_image: Mapping[str, Tensor]) -> None:
        for name, values in per_image.items():
            self._sums[name] = self._sums.get(name, 0.0) + values.sum(0)


def _per_image(histogram: LevelHistogram) -> dict[str, Tensor]:
    """Values of shape (B,), and the two curves of shape (B, 256)."""
    decisions = histogram.decisions()
    pixels = decisions.pixels
    e_values, f_values = e_measure(decisions), f_measure(decisions)
    outside, inside = histogram.by_level.unbind(1)
    differences = outside * histogram.values + inside * (1 - histogram.values)
    return {
        "s_measure": s_measure(histogram),
        "e_measure": e_values[:, EVERY_THRESHOLD],
        "e_measure_adaptive": e_values[:, ADAPTIVE],
        "f_measure": f_values[:, EVERY_THRESHOLD],
        "f_measure_adaptive": f_values[:, ADAPTIVE],
        "mae": differences.sum(1) / (outside + inside).sum(1),
        "iou": iou(decisions)[:, ONE_HALF],
        "dice": dice(decisions)[:, ONE_HALF],
        "num_empty_masks": (decisions.objects[:, ONE_HALF] == 0).double(),
        "constant_share": (_is_constant(decisions.chosen, pixels) & ~_is_constant(decisions.objects, pixels)).double(),
    }


def _is_constant(counted: Tensor, pixels: Tensor) -> Tensor:
    """Whether none or all of an image's pixels are above 0.5, bool (B,)."""
    counted, pixels = counted[:, ONE_HALF], pixels[:, ONE_HALF]
    return (counted == 0) | (counted == pixels)


def _check_range(what: str, lowest: float, highest: float, remedy: str) -> None:
    if lowest < 0 or highest > 1:
        raise ValueError(f"{what} range from {lowest:.4g} to {highest:.4g}; they must lie in [0, 1]: {remedy}.")
