"""Metrics of crowns over a whole split: detection, count and maps.

What: COCO's mean average precision of masks (pycocotools through torchmetrics: per class, 101 recall points, at most
100 detections an image, classes without a crown left out); mean absolute error of the tree count by the density map;
intersection over union of the canopy, from pixels summed over all images; the distance between the predicted and the
true shade distribution, which is the share of an image that each kind of crown covers and the share that none does,
as total variation from 0 to 1, averaged over images; mean intersection over union of the semantic classes that occur;
`constant_share`, the share of images whose canopy is found nowhere or everywhere while it is neither.
A metric whose part is annotated nowhere is left out, not 0.
Sources: Lin et al., Microsoft COCO, 2014, https://arxiv.org/abs/1405.0312.
Cost: matching masks takes about 2 ms an image.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision

from trainable.losses.crowns import VOID, CrownTarget, crown_map
from trainable.metrics.collected import SummedBatches

SURE_SCORE = 0.5
"""Detections from this score on make the shade distribution."""
METRIC_NAMES = (
    "map_50",
    "map_75",
    "map",
    "count_error",
    "canopy_iou",
    "shade_distance",
    "constant_share",
    "semantic_miou",
)
# Given explicitly: the defaults of torchmetrics are rounded to single precision, which changes ties.
_OVERLAPS = np.linspace(0.5, 0.95, 10).tolist()
_RECALLS = np.linspace(0.0, 1.0, 101).tolist()


class CrownScores(NamedTuple):
    """Inputs of the metrics for each image of a batch."""

    detections: list[dict[str, Tensor]]
    semantic: Tensor
    """Most likely class of each pixel, (B, H, W)."""
    crown: Tensor
    """Crown or not, bool (B, H, W)."""
    num_trees: Tensor
    """Trees on each image by its density map, (B,)."""


class CrownMetrics(SummedBatches):
    """Accumulates on the CPU; `num_kinds` and `num_classes` are the crowns' and the semantic map's."""

    sums = ("found", "truth", "count_error", "shade_distance", "num_constant", "canopy", "confusion")

    def __init__(self, *, num_kinds: int, num_classes: int) -> None:
        self._num_kinds = num_kinds
        self._found: list[dict[str, Tensor]] = []
        self._truth: list[dict[str, Tensor]] = []
        self._count_error = self._shade_distance = 0.0
        self._num_constant = 0
        self._canopy = torch.zeros(2, dtype=torch.int64)
        self._confusion = torch.zeros(num_classes, num_classes, dtype=torch.int64)

    def update(self, scores: CrownScores, targets: Sequence[CrownTarget]) -> None:
        for row, target in enumerate(targets):
            labels, num_classes = target["semantic"], len(self._confusion)
            known = labels != VOID
            pairs = labels[known] * num_classes + scores.semantic[row][known]
            counts = torch.bincount(pairs, minlength=num_classes**2)
            self._confusion += counts.reshape(num_classes, num_classes).cpu()
            if target["has_instances"]:
                self._add_crowns(scores, row, target)

    def compute(self) -> dict[str, float]:
        result: dict[str, float] = {}
        if self._truth:
            result |= mean_average_precision(self._found, self._truth) | {
                "count_error": self._count_error / len(self._truth),
                "canopy_iou": float(self._canopy[0] / self._canopy[1].clamp(min=1)),
                "shade_distance": self._shade_distance / len(self._truth),
                "constant_share": self._num_constant / len(self._truth),
            }
        if self._confusion.any():
            result["semantic_miou"] = mean_iou(self._confusion)
        return result

    def _add_crowns(self, scores: CrownScores, row: int, target: CrownTarget) -> None:
        found = {name: value.cpu() for name, value in scores.detections[row].items()}
        truth = {name: target[name].cpu() for name in ("boxes", "labels", "masks")}
        self._found.append(found | {"masks": found["masks"].bool()})
        self._truth.append(truth | {"masks": truth["masks"].bool()})
        self._count_error += abs(float(scores.num_trees[row]) - len(truth["labels"]))
        crown, true_crown = scores.crown[row].cpu(), crown_map(truth) > 0
        self._num_constant += _is_constant(crown) and not _is_constant(true_crown)
        self._canopy += torch.stack([(crown & true_crown).sum(), (crown | true_crown).sum()])
        sure = found["scores"] >= SURE_SCORE
        shade = shade_distribution(found["masks"][sure], found["labels"][sure], self._num_kinds)
        true_shade = shade_distribution(truth["masks"], truth["labels"], self._num_kinds)
        self._shade_distance += float((shade - true_shade).abs().sum() / 2)


def mean_average_precision(found: Sequence[dict[str, Tensor]], truth: Sequence[dict[str, Tensor]]) -> dict[str, float]:
    """COCO's mean average precision of masks, given one entry per image; 0 if no image has a crown."""
    precision = MeanAveragePrecision(
        iou_type="segm", iou_thresholds=_OVERLAPS, rec_thresholds=_RECALLS, backend="pycocotools"
    )
    precision.warn_on_many_detections = False
    annotated = []
    for one in truth:
        # Torchmetrics skips images without a true mask, and with them all false positives there: they get one that
        # covers nothing and is ignored.
        nothing, ignored = one["masks"].new_zeros(1, *one["masks"].shape[1:]), torch.ones(1, dtype=torch.int64)
        stand_in = {"boxes": torch.zeros(1, 4), "labels": ignored, "masks": nothing, "iscrowd": ignored}
        annotated.append(one if len(one["labels"]) else stand_in)
    precision.update(list(found), annotated)
    values = precision.compute()
    return {name: max(0.0, float(values[name])) for name in ("map_50", "map_75", "map")}


def shade_distribution(masks: Tensor, labels: Tensor, num_kinds: int) -> Tensor:
    """Share of the pixels under each kind of crown, and last under none; sums to 1, shape (num_kinds + 1,).

    Pixels under several crowns belong to the first of them: the surest, or the one that was annotated first.
    """
    kind = torch.full(masks.shape[1:], num_kinds)
    for mask, label in zip(reversed(masks), reversed(labels), strict=True):
        kind[mask.bool()] = int(label) - 1
    return torch.bincount(kind.flatten(), minlength=num_kinds + 1) / kind.numel()


def mean_iou(confusion: Tensor) -> float:
    """Mean IoU of the classes that occur in labels or predictions; rows are true classes, shape (S, S)."""
    hits = confusion.diagonal()
    union = confusion.sum(dim=0) + confusion.sum(dim=1) - hits
    return float((hits[union > 0] / union[union > 0]).mean())


def _is_constant(pixels: Tensor) -> bool:
    return bool(pixels.all() | ~pixels.any())
