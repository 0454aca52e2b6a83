"""The content of one annotation file: its pictures, their crowns, and each crown that could not be used.

A picture is known by its name as the file writes it, since annotations often name another format than the one at hand.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from trainable.data.annotations.objects.shapes import CrownError, CrownShape
from trainable.data.io.findings import Finding, Severity

LEFT_OUT = "These crowns are left out; put them right to train on them."
MAP_COORDINATES = "holds map coordinates; write each outline in pixels of its picture: a csv with image_path, geometry"
READ_OTHERWISE = "These crowns are used, though not as they were written; check them."
_MAX_NAMED = 4


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
    action: str = LEFT_OUT


@dataclass(slots=True, kw_only=True)
class AnnotatedPicture:
    """One picture of a file."""

    name: str
    """As written."""
    size: tuple[int, int] | None = None
    """Height and width in pixels that the file states; None when it states none."""
    shapes: list[CrownShape] = field(default_factory=list)
    """Empty says that there is no crown."""


@dataclass(slots=True, kw_only=True)
class AnnotationFile:
    """Filled while a file is read."""

    pictures: dict[str, AnnotatedPicture] = field(default_factory=dict)
    """By name."""
    problems: list[Problem] = field(default_factory=list)
    num_crowns: int = 0
    """Those left out too."""
    predicted: list[str] = field(default_factory=list)
    """Evidence that a network made these crowns."""
    notes: list[str] = field(default_factory=list)
    """How the file was read, where that is not the only way."""

    def picture(self, name: str, size: tuple[int, int] | None = None) -> AnnotatedPicture:
        """The picture of that name, new or known; a size that is known stays."""
        found = self.pictures.setdefault(name, AnnotatedPicture(name=name))
        found.size = found.size or size
        return found

    def add(self, picture: str, place: str, read: Callable[[], CrownShape]) -> None:
        """Adds the crown that `read` gives, unless it cannot be used or stands there already."""
        self.num_crowns += 1
        try:
            shape = read()
        except CrownError as error:
            self.leave_out(picture, place, error.reason, error.detail)
            return
        shapes = self.picture(picture).shapes
        if shape.remark:
            reason, detail = shape.remark
            problem = Problem(picture=picture, place=place, reason=reason, detail=detail, action=READ_OTHERWISE)
            self.problems.append(problem)
        shapes.append(shape)

    def leave_out(self, picture: str, place: str, reason: str, detail: str = "") -> None:
        self.problems.append(Problem(picture=picture, place=place, reason=reason, detail=detail))

    def drop_repeated(self) -> None:
        """One crown that stands twice in a file is one crown."""
        for picture in self.pictures.values():
            first: dict[CrownShape, CrownShape] = {}
            for shape in picture.shapes:
                if shape in first:
                    self.leave_out(picture.name, shape.place, "are given twice", f"as {first[shape].place}")
                first.setdefault(shape, shape)
            picture.shapes = list(first)


def findings_of(where: str, problems: Iterable[Problem], num_crowns: int) -> list[Finding]:
    """One line for each reason: how many crowns, and the first of them by picture and place."""
    kinds: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        kinds.setdefault((problem.action, problem.reason), []).append(problem)
    return [
        Finding(
            file=where,
            problem=f"{len(own)} of {num_crowns} crowns {reason}: {_named(own)}",
            action=action,
            severity=Severity.WARNING,
        )
        for (action, reason), own in kinds.items()
    ]


def _named(problems: list[Problem]) -> str:
    shown = [
        f"{problem.picture} {problem.place}".strip() + (f" ({problem.detail})" if problem.detail else "")
        for problem in problems[:_MAX_NAMED]
    ]
    more = len(problems) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
