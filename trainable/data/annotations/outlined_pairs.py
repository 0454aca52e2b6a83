"""Images whose objects a label tool outlined, as images with masks: the outlines of an image, drawn into one mask."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from trainable.data.annotations.object_counts import check_edges, count_objects
from trainable.data.annotations.objects.annotation_file import ACTIONS, Outcome
from trainable.data.annotations.objects.rasterising import rasterise
from trainable.data.annotations.objects.shapes import ObjectShape
from trainable.data.annotations.objects.written_values import UNNAMED, ObjectError, label_text
from trainable.data.annotations.sources import AnnotatedImage, find_sources
from trainable.data.image_mask.pair_findings import EXPECTED
from trainable.data.image_mask.pairs import Pair, Pairs
from trainable.data.io.counted import counted, first_of
from trainable.data.io.findings import BadFileError, DataError, Finding, Severity, errors_among, note
from trainable.data.io.folder_layout import is_image

_MAX_NAMED = 3
_BACKGROUND = "They are not drawn, so that their pixels count as background; put them right."
_ACTIONS = {
    **ACTIONS,
    Outcome.LEFT_OUT: _BACKGROUND,
    Outcome.BOX_ALONE: "Outline them again: an image with such an object is left out.",
}


@dataclass(frozen=True, slots=True)
class Outlines:
    """What is outlined on one image; a pixel inside of any outline is object."""

    shapes: tuple[ObjectShape, ...]
    size: tuple[int, int]
    """Height and width of the image in pixels."""

    @property
    def digest(self) -> str:
        drawn = [(shape.polygons, shape.run_length) for shape in self.shapes]
        return hashlib.sha256(repr((self.size, drawn)).encode()).hexdigest()

    def pixels(self) -> np.ndarray:
        mask = np.zeros(self.size, np.uint8)
        for shape in self.shapes:
            try:
                inside = rasterise(shape, self.size)
            except ObjectError as error:
                raise BadFileError(f"an outline can't be drawn: {error.detail}", "Draw it again.") from error
            if inside is not None:
                left, top, right, bottom = inside.box
                mask[top:bottom, left:right] |= inside.mask
        return mask


def outlined_pairs(root: Path, labels: Sequence[str]) -> Pairs | None:
    """The images that are annotated, in order of name; an image on which nothing is outlined has an empty mask.

    None where nothing is outlined on any.

    Args:
        labels: those of the object; none: all.

    Raises:
        DataError: the only annotations are in a damaged file, none has one of the labels, or no image that is left has
            an object.
    """
    try:
        sources = find_sources(root, _ACTIONS)
    except DataError as error:
        _refuse_damaged(root, error.findings)
        return None
    annotated = [image for image in sources.images if image.shapes is not None]
    if not any(shape.is_outlined for image in annotated for shape in image.shapes or ()):
        return None
    chosen = sorted(_with_labels(annotated, labels), key=lambda image: image.name)
    outlined = [image for image in chosen if not _has_box(image)]
    left_out = _left_out([image for image in chosen if _has_box(image)], among=len(chosen))
    findings = [*sources.findings, *check_edges(outlined), *_outside(outlined), _read_as(outlined), *left_out]
    if not any(not shape.lies_outside(image.size) for image in outlined for shape in image.shapes or ()):
        raise DataError(f"Not one image of {root} shows an object whose outline can be drawn.", findings)
    return [_pair(image) for image in outlined], findings


def _refuse_damaged(root: Path, findings: Sequence[Finding]) -> None:
    """Raises DataError where a file that may hold outlines cannot be read."""
    damaged = [one for one in errors_among(findings) if not is_image(Path(one.file))]
    if damaged:
        raise DataError(f"{root} has no images with masks: expected {EXPECTED}, or outlines that can be read.", damaged)


def _outside(images: Sequence[AnnotatedImage]) -> list[Finding]:
    outside = [(image, shape) for image in images for shape in image.shapes or () if shape.lies_outside(image.size)]
    return count_objects([(*one, "lie outside of their picture") for one in outside], images, _BACKGROUND)


def _has_box(image: AnnotatedImage) -> bool:
    """Whether an object has a box alone."""
    return not all(shape.is_outlined for shape in image.shapes or ())


def _with_labels(images: Sequence[AnnotatedImage], labels: Sequence[str]) -> list[AnnotatedImage]:
    """The images with those of their shapes that have one of the labels; none: with all."""
    known = {shape.label for image in images for shape in image.shapes or ()}
    wanted = set(map(label_text, labels)) or known
    if unknown := sorted(wanted - known):
        named = ", ".join(sorted(known - {UNNAMED})) or "none"
        raise DataError(f"foreground_values holds {unknown[0]!r}, which no outline has as its label; labels: {named}.")
    shapes = [tuple(shape for shape in image.shapes or () if shape.label in wanted) for image in images]
    return [replace(image, shapes=own) for image, own in zip(images, shapes, strict=True)]


def _pair(image: AnnotatedImage) -> Pair:
    drawn = Outlines(image.shapes or (), image.size)
    return Pair(name=image.name, image=image.file, mask=image.file, split=image.split, drawn=drawn)


def _read_as(outlined: Sequence[AnnotatedImage]) -> Finding:
    labels = Counter(shape.label for image in outlined for shape in image.shapes or ())
    named = first_of([label or "no label" for label, _ in labels.most_common()], _MAX_NAMED)
    problem = f"{counted(labels.total(), 'outline')} on {counted(len(outlined), 'image')}: {named}"
    is_mixed = "All of them are the object; for some labels alone: --set foreground_values='[\"LABEL\"]'."
    return note("outlines", problem, is_mixed if len(labels) > 1 else "What lies inside is the object.")


def _left_out(in_boxes: Sequence[AnnotatedImage], *, among: int) -> list[Finding]:
    if not in_boxes:
        return []
    names = first_of([image.file.as_posix() for image in in_boxes], _MAX_NAMED)
    problem = f"{len(in_boxes)} of {among} images have a box without an outline: {names}"
    action = "Left out: a box is no mask. Outline what is in it."
    return [Finding(file="boxes", problem=problem, action=action, severity=Severity.WARNING)]
