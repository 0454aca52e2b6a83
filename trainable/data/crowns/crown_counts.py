"""How many crowns a folder has of which kind, and how many of them no tile shows: nothing is dropped without a word."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path

from trainable.data.annotations.object_counts import CountedObject, count_objects
from trainable.data.annotations.objects.shapes import ObjectShape
from trainable.data.annotations.objects.written_values import UNNAMED
from trainable.data.annotations.sources import AnnotatedImage
from trainable.data.io.counted import counted, first_of
from trainable.data.io.findings import Finding, Severity, note

ONE_KIND = "crown"
_BOX_ONLY = "The whole box is taken as the mask of its crown."
DROPPED = "No tile shows them; they are left out."
_UNNAMED = "Left out, for the others have names: give them one, or count all as of one kind with --set one_kind=true."
_NOT_LEARNED = (
    "The network cannot learn what no training tile shows: annotate more pictures, divide them differently (--set "
    "split_seed=1), or count all crowns as of one kind (--set one_kind=true)."
)
_NOT_MEASURED = (
    "The metrics of that split leave them out: annotate more pictures, or divide them differently (--set split_seed=1)."
)
_MAX_KINDS = 12


def named_crowns(images: Sequence[AnnotatedImage], *, one_kind: bool) -> tuple[Sequence[AnnotatedImage], list[Finding]]:
    """Leaves out crowns without a name if others have one; if none has, all are of one kind."""
    labels = {shape.label for image in images for shape in image.shapes or ()}
    if UNNAMED not in labels or one_kind:
        return images, []
    if labels == {UNNAMED}:
        as_one_kind = [[replace(shape, label=ONE_KIND) for shape in image.shapes or ()] for image in images]
        return [_with_shapes(image, own) for image, own in zip(images, as_one_kind, strict=True)], []
    problems = [
        (image, shape, "have no name") for image in images for shape in image.shapes or () if shape.label == UNNAMED
    ]
    kept = [_with_shapes(image, [one for one in image.shapes or () if one.label != UNNAMED]) for image in images]
    return kept, count_objects(problems, images, _UNNAMED)


def describe_crowns(images: Sequence[AnnotatedImage]) -> list[Finding]:
    """Crowns by kind and pictures, and pictures that have boxes alone, as notes."""
    kinds = Counter(shape.label or ONE_KIND for image in images for shape in image.shapes or ())
    if not kinds:
        return []
    listed = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(_MAX_KINDS))
    more = f" and {counted(len(kinds) - _MAX_KINDS, 'more kind')}" if len(kinds) > _MAX_KINDS else ""
    annotated = sum(image.shapes is not None for image in images)
    problem = f"{kinds.total()} on {counted(annotated, 'picture')}: {listed}{more}"
    return [note("crowns", problem, "What was found."), *_boxes_alone(images)]


def _boxes_alone(images: Sequence[AnnotatedImage]) -> list[Finding]:
    """A note that counts the pictures with boxes alone, whose crowns are the whole boxes."""
    boxes = [image for image in images if image.shapes and not any(shape.is_outlined for shape in image.shapes)]
    if not boxes:
        return []
    num_boxes = sum(len(image.shapes or ()) for image in boxes)
    problem = f"{len(boxes)} of {len(images)} pictures have boxes and no outline ({counted(num_boxes, 'box', 'boxes')})"
    return [note("boxes", problem, _BOX_ONLY)]


def check_splits(shown: Mapping[str, Set[str]]) -> list[Finding]:
    """A warning for each split without a tile of a kind of crowns or of a class that another split shows."""
    names = set().union(*shown.values())
    return [
        Finding(
            file=split,
            problem=f"has no tile with {first_of(sorted(lacking), _MAX_KINDS)}",
            action=_NOT_LEARNED if split == "train" else _NOT_MEASURED,
            severity=Severity.WARNING,
        )
        for split, own in shown.items()
        if (lacking := names - own)
    ]


def nothing_left(root: Path, images: Sequence[AnnotatedImage], dropped: Sequence[CountedObject]) -> str:
    """Why there is no tile, with an example of a coordinate beside the size of its picture."""
    if not dropped:
        return f"Not one of {len(images)} annotated pictures of {root} has a crown that can be used."
    image, shape, _ = dropped[0]
    left, top, right, bottom = shape.box
    hint = " They look like fractions of the sides: give pixels." if max(map(abs, shape.box)) <= 1 else ""
    return (
        f"No crown lies on any picture of {root}: {shape.place} of {image.annotated_in} reaches from "
        f"({left:g}, {top:g}) to ({right:g}, {bottom:g}), and {image.file.as_posix()} is "
        f"{image.size[1]}x{image.size[0]} pixels.{hint}"
    )


def _with_shapes(image: AnnotatedImage, shapes: Sequence[ObjectShape]) -> AnnotatedImage:
    return image if image.shapes is None else replace(image, shapes=tuple(shapes))
