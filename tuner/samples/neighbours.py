"""Shows an encoder by the nearest neighbours of test images."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tuner.results.samples import Judgement, Sample
from tuner.samples.drawing import TRUE_COLOUR, as_uri
from tuner.samples.kind import JudgedImage, Kind

NUM_NEIGHBOURS = 3
STRIP_PX = 330
GAP_PX = 2


class Looks(NamedTuple):
    """Pictures and texts that show an image."""

    query: Tensor
    """The picture (3, H, W) whose neighbours are shown."""
    candidate: Tensor
    """The picture that may be a neighbour of another one."""
    truth: str


class Nearest(NamedTuple):
    """The nearest neighbours of an image by one network."""

    places: list[int]
    """Positions of at most NUM_NEIGHBOURS neighbours, nearest first."""
    right: list[bool]
    """Whether each should be near."""
    caption: str
    score: float


class Neighbours(Kind):
    """Samples of nearest neighbours by cosine similarity of features, nearest first."""

    in_rows = True

    def sample(self, number: int, images: Sequence[JudgedImage]) -> Sample:
        said = {}
        for network in images[number].scores:
            nearest = self.nearest(number, images, network)
            picture = strip([self.looks(images[other]).candidate for other in nearest.places], nearest.right)
            said[network] = Judgement(picture=picture, caption=nearest.caption, score=nearest.score)
        looks = self.looks(images[number])
        return Sample(number=images[number].place, picture=as_uri(looks.query), truth=looks.truth, **said)

    @abstractmethod
    def looks(self, image: JudgedImage) -> Looks:
        """Pictures of an image, and its label as text."""

    @abstractmethod
    def nearest(self, number: int, images: Sequence[JudgedImage], network: str) -> Nearest:
        """Neighbours of one of the images."""


@dataclass(frozen=True, slots=True)
class ClassNeighbours(Neighbours):
    """Neighbours by features (D,) of labelled images; those of the same class should be near."""

    class_names: Sequence[str]

    score = f"neighbour score, the share of its {NUM_NEIGHBOURS} nearest test images that are of its class"

    def counts(self, targets: Any) -> bool:
        return bool(targets["is_query"].all())

    def looks(self, image: JudgedImage) -> Looks:
        return Looks(image.pixels, image.pixels, self.class_names[int(image.target["label"])])

    def nearest(self, number: int, images: Sequence[JudgedImage], network: str) -> Nearest:
        features = torch.stack([image.scores[network] for image in images])
        order = [other for other in nearest_first(features[number], features) if other != number]
        places, label = order[:NUM_NEIGHBOURS], int(images[number].target["label"])
        right = [int(images[other].target["label"]) == label for other in places]
        words = ", ".join(self.looks(images[other]).truth for other in places)
        caption = f"{sum(right)} of {len(places)} right: {words}"
        return Nearest(places, right, caption, sum(right) / max(1, len(places)))


class LookNeighbours(Neighbours):
    """Neighbours among the second views by features (2, D) of two views; the image's own should be the nearest."""

    score = "reciprocal rank, 1 over the rank of the image's own second view"

    def looks(self, image: JudgedImage) -> Looks:
        return Looks(image.pixels[0], image.pixels[1], "first view")

    def nearest(self, number: int, images: Sequence[JudgedImage], network: str) -> Nearest:
        seconds = torch.stack([image.scores[network][1] for image in images])
        order = nearest_first(images[number].scores[network][0], seconds)
        places, rank = order[:NUM_NEIGHBOURS], order.index(number) + 1
        right = [other == number for other in places]
        return Nearest(places, right, f"its own second view is number {rank} of {len(order)}", 1 / rank)


def nearest_first(feature: Tensor, features: Tensor) -> list[int]:
    """Rows of `features` (N, D) by their cosine to `feature` (D,); ties go to the earlier."""
    cosines = F.cosine_similarity(feature[None].float(), features.float())
    return [int(row) for row in cosines.argsort(descending=True, stable=True)]


def strip(pictures: Sequence[Tensor], right: Sequence[bool]) -> str | None:
    """Joins pictures (3, H, W) side by side, with a box around the right ones; None without pictures."""
    if not pictures:
        return None
    _, height, width = pictures[0].shape
    gap = torch.ones(3, height, GAP_PX)
    joined = torch.cat([part for picture in pictures for part in (picture, gap)], dim=-1)[..., :-GAP_PX]
    lefts = [place * (width + GAP_PX) for place in range(len(pictures))]
    boxes = [(left, 0, left + width, height) for left, is_right in zip(lefts, right, strict=True) if is_right]
    return as_uri(joined, boxes=boxes, colour=TRUE_COLOUR, side_px=STRIP_PX)
