"""Objects of many pictures by the file that they are from: how many of its objects something is wrong with."""

from collections import Counter
from collections.abc import Sequence

from trainable.data.annotations.objects.annotation_file import Outcome, Problem, findings_of
from trainable.data.annotations.objects.shapes import ObjectShape
from trainable.data.annotations.sources import AnnotatedImage
from trainable.data.io.findings import Finding

CountedObject = tuple[AnnotatedImage, ObjectShape, str]
"""An object with its picture and why it is counted, in the plural."""
_CUT = "They are cut at the edge; check that their numbers mean what the form says."
_SLACK_PX = 1


def check_edges(images: Sequence[AnnotatedImage]) -> list[Finding]:
    """A warning for objects that reach beyond their picture; those wholly outside are counted when they are cut."""
    beyond = []
    for image in images:
        height, width = image.size
        for shape in image.shapes or ():
            left, top, right, bottom = shape.box
            is_whole = min(left, top) >= -_SLACK_PX and right <= width + _SLACK_PX and bottom <= height + _SLACK_PX
            if not is_whole and not shape.lies_outside(image.size):
                beyond.append((image, shape, "reach beyond their picture"))
    return count_objects(beyond, images, _CUT)


def count_objects(problematic: Sequence[CountedObject], images: Sequence[AnnotatedImage], action: str) -> list[Finding]:
    """One warning for each file and reason, with the objects of the file beside."""
    totals = Counter({image.annotated_in: 0 for image in images})
    for image in images:
        totals[image.annotated_in] += len(image.shapes or ())
    problems: dict[str, list[Problem]] = {}
    for image, shape, reason in problematic:
        box = "({:g}, {:g}) to ({:g}, {:g})".format(*shape.box)
        problem = Problem(picture=image.file.name, place=shape.place, reason=reason, detail=box)
        problems.setdefault(image.annotated_in or "", []).append(problem)
    actions = {Outcome.LEFT_OUT: action}
    return [finding for where, own in problems.items() for finding in findings_of(where, own, totals[where], actions)]
