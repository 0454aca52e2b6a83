"""How a judged image is shown: by its mask, its class, its grades, its crowns, or its neighbours."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainable.data.classes.labelled_images import LabelledImages
from trainable.data.classes.probe_set import ProbeSet
from trainable.metrics.crowns import SURE_SCORE
from trainable.prediction.base import Predictor
from trainable.prediction.classes import ClassPredictor, GradesPredictor
from trainable.prediction.crowns import CrownsPredictor, unsure
from trainable.prediction.embedding import EmbeddingPredictor
from trainable.prediction.mask import THRESHOLD, MaskPredictor
from tuner import formatting
from tuner.results.samples import Confusion, Judgement, Sample
from tuner.samples.drawing import COLOUR_OF, TRUE_COLOUR, as_uri
from tuner.samples.kind import JudgedImage, Kind
from tuner.samples.neighbours import ClassNeighbours, LookNeighbours


class Masks(Kind):
    score = "IoU, the overlap with the true mask"

    def sample(self, number: int, images: Sequence[JudgedImage]) -> Sample:
        image = images[number]
        truth = image.target[0] >= THRESHOLD
        found = {name: scores[0] >= THRESHOLD for name, scores in image.scores.items()}
        said = {
            name: Judgement(
                picture=as_uri(image.pixels, mask=mask, colour=COLOUR_OF[name]),
                caption=f"IoU {overlap(mask, truth):.2f}",
                score=overlap(mask, truth),
            )
            for name, mask in found.items()
        }
        picture = as_uri(image.pixels, mask=truth, colour=TRUE_COLOUR)
        return Sample(number=image.place, picture=picture, truth="mask", **said)


class Crowns(Kind):
    score = "IoU of the canopy of all crowns"

    def sample(self, number: int, images: Sequence[JudgedImage]) -> Sample:
        image = images[number]
        target = image.target
        truth = target["masks"].bool().any(dim=0)
        said = {}
        for name, (detections, *_) in image.scores.items():
            sure = detections["scores"] >= SURE_SCORE
            canopy = detections["masks"][sure].bool().any(dim=0) if sure.any() else torch.zeros_like(truth)
            score = overlap(canopy, truth)
            boxes, count = detections["boxes"][sure].tolist(), formatting.count(int(sure.sum()), "crown")
            picture = as_uri(image.pixels, mask=canopy, boxes=boxes, colour=COLOUR_OF[name])
            said[name] = Judgement(
                picture=picture,
                caption=f"{count}{unsure(detections['scores'].tolist())}, canopy IoU {score:.2f}",
                score=score,
            )
        picture = as_uri(image.pixels, mask=truth, boxes=target["boxes"].tolist(), colour=TRUE_COLOUR)
        truth = formatting.count(len(target["boxes"]), "crown")
        return Sample(number=image.place, picture=picture, truth=truth, **said)


@dataclass(frozen=True, slots=True)
class Grades(Kind):
    """Samples of one classification per task; an only task has no name."""

    class_names: Mapping[str, Sequence[str]]

    score = "probability of the true class"

    def sample(self, number: int, images: Sequence[JudgedImage]) -> Sample:
        image = images[number]
        labels = _labels(image.target)
        said = {}
        for name, scores in image.scores.items():
            parts = _parts(scores)
            known = [float(part[label]) for part, label in zip(parts, labels, strict=True) if label >= 0]
            sure = ", ".join(f"{float(part.max()):.2f}" for part in parts)
            likeliest = self._in_words([int(part.argmax()) for part in parts])
            score = sum(known) / len(known) if known else 1.0
            is_right = all(int(part.argmax()) == label for part, label in zip(parts, labels, strict=True) if label >= 0)
            of_truth = "" if is_right else f", true class {', '.join(f'{value:.2f}' for value in known)}"
            said[name] = Judgement(picture=None, caption=f"{likeliest} ({sure}){of_truth}", score=score)
        truth = self._in_words(labels)
        return Sample(number=image.place, picture=as_uri(image.pixels), truth=truth, **said)

    def confusions(self, images: Sequence[JudgedImage]) -> list[Confusion]:
        return [
            Confusion(
                title=task,
                classes=list(names),
                **{network: self._counts(images, network, place) for network in images[0].scores},
            )
            for place, (task, names) in enumerate(self.class_names.items())
        ]

    def _in_words(self, labels: Iterable[int]) -> str:
        pairs = zip(self.class_names.items(), labels, strict=True)
        words = [(task, names[label] if label >= 0 else "not graded") for (task, names), label in pairs]
        return ", ".join(f"{task} {word}" if task else word for task, word in words)

    def _counts(self, images: Sequence[JudgedImage], network: str, place: int) -> list[list[int]]:
        num_classes = len(list(self.class_names.values())[place])
        counts = np.zeros((num_classes, num_classes), int)
        for image in images:
            label = _labels(image.target)[place]
            if label >= 0:
                counts[label, int(_parts(image.scores[network])[place].argmax())] += 1
        return [[int(count) for count in row] for row in counts]


def kind_of(predictor: Predictor, data: Any) -> Kind | None:
    """Chooses the kind of samples by the predictor and the test split; None if its predictions can't be drawn."""
    match predictor, data:
        case MaskPredictor(), _:
            return Masks()
        case ClassPredictor(class_names=names), _:
            return Grades({"": names})
        case GradesPredictor(class_names=names), _:
            return Grades(names)
        case CrownsPredictor(), _:
            return Crowns()
        case EmbeddingPredictor(), ProbeSet(queries=queries):
            return ClassNeighbours(tuple(map(str, queries.class_names)))
        case EmbeddingPredictor(), LabelledImages():
            return LookNeighbours()
    return None


def overlap(found: Tensor, truth: Tensor) -> float:
    """Intersection over union of two bool masks; 1 where both are empty."""
    union = int((found | truth).sum())
    return int((found & truth).sum()) / union if union else 1.0


def _labels(target: Tensor) -> list[int]:
    return [int(label) for label in target.reshape(-1)]


def _parts(scores: Any) -> Sequence[Tensor]:
    return [scores] if isinstance(scores, Tensor) else list(scores)
