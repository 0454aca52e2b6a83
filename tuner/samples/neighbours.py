"""How an encoder is shown: by the test images that it takes for the nearest."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tuner.results.samples import Judgement, Sample
from tuner.samples.drawing import TRUE_COLOUR, as_uri
from tuner.samples.kind import JudgedImage, Kind

NUM_NEIGHBOURS = 3
STRIP_PX = 330
GAP_PX = 2


class Neighbours(Kind):
    """By the cosine of features, the nearest first."""

    in_rows = True

    def sample(self, number: int, images: Sequence[JudgedImage]) -> Sample:
        image = images[number]
        said = {name: self._judgement(number, images, name) for name in image.scores}
        return Sample(number=image.place, picture=as_uri(self.query(image)), truth=self.truth(image), **said)

    @abstractmethod
    def query(self, image: JudgedImage) -> Tensor:
        """The picture (3, H, W) whose neighbours are shown."""

    @abstractmethod
    def candidate(self, image: JudgedImage) -> Tensor:
        """The picture that may be a neighbour."""

    @abstractmethod
    def truth(self, image: JudgedImage) -> str: ...

    @abstractmethod
    def order(self, number: int, images: Sequence[JudgedImage], network: str) -> list[int]:
        """Images by their distance to one of them, the nearest first."""

    @abstractmethod
    def is_right(self, number: int, other: int, images: Sequence[JudgedImage]) -> bool:
        """Whether `other` should be near."""

    @abstractmethod
    def judge(self, number: int, order: Sequence[int], images: Sequence[JudgedImage]) -> tuple[str, float]:
        """Caption and score."""

    def _judgement(self, number: int, images: Sequence[JudgedImage], network: str) -> Judgement:
        order = self.order(number, images, network)
        caption, score = self.judge(number, order, images)
        nearest = order[:NUM_NEIGHBOURS]
        right = [self.is_right(number, other, images) for other in nearest]
        picture = strip([self.candidate(images[other]) for other in nearest], right)
        return Judgement(picture=picture, caption=caption, score=score)


@dataclass(frozen=True, slots=True)
class ClassNeighbours(Neighbours):
    """Features (D,) of labelled images: the others of the split, of which those of its class should be near."""

    class_names: Sequence[str]

    score = f"share of its {NUM_NEIGHBOURS} nearest test images that are of its class"

    def counts(self, targets: Any) -> bool:
        return bool(targets["is_query"].all())

    def query(self, image: JudgedImage) -> Tensor:
        return image.pixels

    candidate = query

    def truth(self, image: JudgedImage) -> str:
        return self.class_names[int(image.target["label"])]

    def order(self, number: int, images: Sequence[JudgedImage], network: str) -> list[int]:
        features = torch.stack([image.scores[network] for image in images])
        return [other for other in nearest_first(features[number], features) if other != number]

    def is_right(self, number: int, other: int, images: Sequence[JudgedImage]) -> bool:
        return int(images[number].target["label"]) == int(images[other].target["label"])

    def judge(self, number: int, order: Sequence[int], images: Sequence[JudgedImage]) -> tuple[str, float]:
        nearest = order[:NUM_NEIGHBOURS]
        right = sum(self.is_right(number, other, images) for other in nearest)
        words = ", ".join(self.truth(images[other]) for other in nearest)
        return f"{right} of {len(nearest)} right: {words}", right / max(1, len(nearest))


class LookNeighbours(Neighbours):
    """Features (2, D) of two looks at each image: the second looks, of which its own should be the nearest."""

    score = "reciprocal rank of an image's own second look"

    def query(self, image: JudgedImage) -> Tensor:
        return image.pixels[0]

    def candidate(self, image: JudgedImage) -> Tensor:
        return image.pixels[1]

    def truth(self, image: JudgedImage) -> str:
        return "first look"

    def order(self, number: int, images: Sequence[JudgedImage], network: str) -> list[int]:
        seconds = torch.stack([image.scores[network][1] for image in images])
        return nearest_first(images[number].scores[network][0], seconds)

    def is_right(self, number: int, other: int, images: Sequence[JudgedImage]) -> bool:
        return number == other

    def judge(self, number: int, order: Sequence[int], images: Sequence[JudgedImage]) -> tuple[str, float]:
        rank = order.index(number) + 1
        return f"its own second look is number {rank} of {len(order)}", 1 / rank


def nearest_first(feature: Tensor, features: Tensor) -> list[int]:
    """Rows of `features` (N, D) by their cosine to `feature` (D,); ties go to the earlier."""
    cosines = F.cosine_similarity(feature[None].float(), features.float())
    return [int(row) for row in cosines.argsort(descending=True, stable=True)]


def strip(pictures: Sequence[Tensor], right: Sequence[bool]) -> str | None:
    """Pictures (3, H, W) beside each other, with a box around the right ones; None without a picture."""
    if not pictures:
        return None
    _, height, width = pictures[0].shape
    gap = torch.ones(3, height, GAP_PX)
    joined = torch.cat([part for picture in pictures for part in (picture, gap)], dim=-1)[..., :-GAP_PX]
    lefts = [place * (width + GAP_PX) for place in range(len(pictures))]
    boxes = [(left, 0, left + width, height) for left, is_right in zip(lefts, right, strict=True) if is_right]
    return as_uri(joined, boxes=boxes, colour=TRUE_COLOUR, side_px=STRIP_PX)
