"""The content of one annotation file: its pictures, their objects, and each object that could not be used.

A picture is known by its name as the file writes it, since annotations often name another format than the one at hand.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from trainable.data.annotations.objects.shapes import ObjectShape
from trainable.data.annotations.objects.written_values import ObjectError
from trainable.data.io.findings import Finding, Severity

MAP_COORDINATES = "holds map coordinates; write each outline in pixels of its picture: a csv with image_path, geometry"
_MAX_NAMED = 4


class Outcome(Enum):
    """How far an annotation can be used that is not as it should be."""

    LEFT_OUT = auto()
    BOX_ALONE = auto()
    """An outline that cannot be used, with a box that can."""
    IN_PART = auto()


ACTIONS: Mapping[Outcome, str] = {
    Outcome.LEFT_OUT: "They are left out; put them right to train on them.",
    Outcome.BOX_ALONE: "The whole box is taken as the mask; check them.",
    Outcome.IN_PART: "They are used, though not as they were written; check them.",
}
"""What a user reads where a box is as good as an outline."""


class OtherFileError(ValueError):
    """A file that is whole, but annotates nothing: a list of classes, a program's settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One annotation that was left out, or read otherwise than written."""

    picture: str
    """As the file names it; empty where it names none."""
    place: str
    """Where it stands, such as `row 7`."""
    reason: str
    """The same words for all of the kind, in the plural."""
    detail: str
    outcome: Outcome = Outcome.LEFT_OUT


@dataclass(slots=True, kw_only=True)
class AnnotatedPicture:
    """One picture of a file."""

    name: str
    """As written."""
    size: tuple[int, int] | None = None
    """Height and width in pixels that the file states; None when it states none."""
    shapes: list[ObjectShape] = field(default_factory=list)
    """Empty says that there is no object."""


@dataclass(slots=True, kw_only=True)
class AnnotationFile:
    """Filled while a file is read."""

    pictures: dict[str, AnnotatedPicture] = field(default_factory=dict)
    """By name."""
    problems: list[Problem] = field(default_factory=list)
    num_objects: int = 0
    """Those left out too."""
    predicted: list[str] = field(default_factory=list)
    """Evidence that a network made these objects."""
    notes: list[str] = field(default_factory=list)
    """How the file was read, where that is not the only way."""

    def picture(self, name: str, size: tuple[int, int] | None = None) -> AnnotatedPicture:
        """The picture of that name, new or known; a size that is known stays."""
        found = self.pictures.setdefault(name, AnnotatedPicture(name=name))
        found.size = found.size or size
        return found

    def add(self, picture: str, place: str, read: Callable[[], ObjectShape]) -> None:
        """Adds the object that `read` gives, unless it cannot be used or stands there already."""
        self.num_objects += 1
        try:
            shape = read()
        except ObjectError as error:
            self.leave_out(picture, place, error.reason, error.detail)
            return
        shapes = self.picture(picture).shapes
        if shape.remark:
            reason, detail = shape.remark
            outcome = Outcome.IN_PART if shape.is_outlined else Outcome.BOX_ALONE
            problem = Problem(picture=picture, place=place, reason=reason, detail=detail, outcome=outcome)
            self.problems.append(problem)
        shapes.append(shape)

    def leave_out(self, picture: str, place: str, reason: str, detail: str = "") -> None:
        self.problems.append(Problem(picture=picture, place=place, reason=reason, detail=detail))

    def drop_repeated(self) -> None:
        """One object that stands twice in a file is one object."""
        for picture in self.pictures.values():
            first: dict[ObjectShape, ObjectShape] = {}
            for shape in picture.shapes:
                if shape in first:
                    self.leave_out(picture.name, shape.place, "are given twice", f"as {first[shape].place}")
                first.setdefault(shape, shape)
            picture.shapes = list(first)


def findings_of(
    where: str, problems: Iterable[Problem], num_objects: int, actions: Mapping[Outcome, str]
) -> list[Finding]:
    """One line for each reason: how many objects, the first of them by picture and place, and what to do."""
    kinds: dict[tuple[Outcome, str], list[Problem]] = {}
    for problem in problems:
        kinds.setdefault((problem.outcome, problem.reason), []).append(problem)
    return [
        Finding(
            file=where,
            problem=f"{len(own)} of {num_objects} objects {reason}: {_named(own)}",
            action=actions[outcome],
            severity=Severity.WARNING,
        )
        for (outcome, reason), own in kinds.items()
    ]


def _named(problems: list[Problem]) -> str:
    shown = [
        f"{problem.picture} {problem.place}".strip() + (f" ({problem.detail})" if problem.detail else "")
        for problem in problems[:_MAX_NAMED]
    ]
    more = len(problems) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
