"""The class of a picture, with the probability of each, for one task or several."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from PIL import Image
from torch import Tensor

from trainable.prediction.base import Prediction, Predictor, Prepare, Progress, network_output
from trainable.prediction.drawing import draw_captions
from trainable.supervision.base import Forward
from trainable.techniques.test_time_augmentation import ViewAveraging, single_view


@dataclass(frozen=True, slots=True)
class ClassPrediction(Prediction):
    """The probability of each class; they sum to 1."""

    probabilities: Mapping[str, float]

    @property
    def likeliest(self) -> str:
        return max(self.probabilities, key=lambda name: self.probabilities[name])

    def in_words(self) -> str:
        (first, share), *others = sorted(self.probabilities.items(), key=lambda item: -item[1])
        return f"{first} {share:.3f} ({', '.join(f'{name} {other:.3f}' for name, other in others)})"

    def row(self) -> dict[str, str | int | float]:
        first = self.likeliest
        return {
            "class": first,
            "probability": round(self.probabilities[first], 6),
            **{f"probability_{name}": round(share, 6) for name, share in self.probabilities.items()},
        }

    def draw(self, picture: Tensor) -> Tensor:
        return draw_captions(picture, {0: f"{self.likeliest} {self.probabilities[self.likeliest]:.2f}"})


@dataclass(frozen=True, slots=True)
class GradesPrediction(Prediction):
    """One classification for each task, by its name."""

    grades: Mapping[str, ClassPrediction]

    def in_words(self) -> str:
        return "; ".join(f"{task}: {grade.in_words()}" for task, grade in self.grades.items())

    def row(self) -> dict[str, str | int | float]:
        own = {task: grade.row() for task, grade in self.grades.items()}
        return {
            task if column == "class" else f"{task}_{column}": cell
            for task, row in own.items()
            for column, cell in row.items()
        }

    def draw(self, picture: Tensor) -> Tensor:
        captions = {
            number: f"{task} {grade.likeliest} {grade.probabilities[grade.likeliest]:.2f}"
            for number, (task, grade) in enumerate(self.grades.items())
        }
        return draw_captions(picture, captions)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassPredictor(Predictor):
    """Predictor for networks with one logit per class."""

    kind: ClassVar = ClassPrediction

    class_names: tuple[str, ...]
    prepare: Prepare
    least_px: int | None = None
    average_views: ViewAveraging = single_view

    def __call__(self, forward: Forward, picture: Image.Image, on_progress: Progress | None = None) -> ClassPrediction:
        output = network_output(self.average_views(forward), self.prepare(picture))
        return _classify(output.predictions[0], self.class_names)


@dataclass(frozen=True, slots=True, kw_only=True)
class GradesPredictor(Predictor):
    """Predictor for networks whose logits are concatenated by task."""

    kind: ClassVar = GradesPrediction

    class_names: Mapping[str, tuple[str, ...]]
    """Class names of each task, in the order of the logits."""
    prepare: Prepare
    least_px: int | None = None
    average_views: ViewAveraging = single_view

    def __call__(self, forward: Forward, picture: Image.Image, on_progress: Progress | None = None) -> GradesPrediction:
        output = network_output(self.average_views(forward), self.prepare(picture))
        parts = output.predictions[0].split([len(names) for names in self.class_names.values()])
        pairs = zip(self.class_names.items(), parts, strict=True)
        return GradesPrediction({task: _classify(logits, names) for (task, names), logits in pairs})


def _classify(logits: Tensor, names: tuple[str, ...]) -> ClassPrediction:
    return ClassPrediction(dict(zip(names, logits.float().softmax(dim=0).tolist(), strict=True)))
