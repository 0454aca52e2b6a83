"""YOLO txt: one file a picture, an object a line, in fractions of the picture's sides."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path

import yaml

from trainable.data.annotations.objects.annotation_file import AnnotationFile, OtherFileError
from trainable.data.annotations.objects.boxes import object_from_box
from trainable.data.annotations.objects.outlines import object_from_outlines
from trainable.data.annotations.objects.shapes import ObjectShape
from trainable.data.annotations.objects.written_values import ObjectError, is_number, label_text, number
from trainable.data.io.counted import counted
from trainable.data.io.findings import BadFileError

LABEL_ENDING = ".txt"
_YAML_ENDINGS = (".yaml", ".yml")
_LISTS = ("classes.txt", "obj.names", "_darknet.labels")
"""Files with the name of a class on each line."""
_SLACK = 0.01
"""Rounding may leave an object this share of the side beyond the picture."""

Names = dict[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class YoloClasses:
    """The labels as data.yaml, classes.txt or obj.names list them."""

    names: Names
    """By number; empty where no file says them."""
    num_keypoint_values: int = 0
    """Numbers behind each box that are keypoints of a pose, not an outline (`kpt_shape` of data.yaml)."""


def read_yolo(path: Path, *, size: tuple[int, int], classes: YoloClasses) -> AnnotationFile:
    """Lines of `class x y width height` (centre and sides of a box) or `class x1 y1 x2 y2 x3 y3 ...` (an outline).

    Args:
        size: height and width of the picture in pixels.

    Raises:
        OtherFileError: no line begins with two numbers.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").lstrip("\ufeff").splitlines()
    rows = [(index, line.split()) for index, line in enumerate(lines, start=1) if line.strip()]
    if rows and not any(len(row) > 1 and all(map(is_number, row[:2])) for _, row in rows):
        raise OtherFileError("has no line of numbers as in YOLO's labels")
    found = AnnotationFile()
    found.picture(path.stem)
    for index, row in rows:
        place = f"line {index}"
        found.add(path.stem, place, partial(_shape, row, size, classes, place))
    found.drop_repeated()
    return found


def lists_classes(file: Path) -> bool:
    """Whether a file is called as one that lists the names of classes."""
    return file.name.lower() in _LISTS or file.suffix.lower() in _YAML_ENDINGS


def read_classes(root: Path, files: Sequence[Path]) -> YoloClasses:
    """The classes as data.yaml, classes.txt or obj.names below the folder list them.

    Raises:
        BadFileError: two files list other names, or one is damaged.
    """
    read = {file: classes for file in files if (classes := _listed(root / file))}
    found = {file: classes.names for file, classes in read.items() if classes.names}
    lists = {tuple(sorted(names.items())) for names in found.values()}
    if len(lists) > 1:
        problem = f"and {len(found) - 1} more list different names of classes: {', '.join(map(str, found))}"
        raise BadFileError(problem, "Keep the one that belongs to the labels.")
    num_values = max((classes.num_keypoint_values for classes in read.values()), default=0)
    return YoloClasses(names=dict(*lists) if lists else {}, num_keypoint_values=num_values)


def _listed(path: Path) -> YoloClasses | None:
    if not lists_classes(path):
        return None
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = None if path.name.lower() in _LISTS else yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problem = f"in {path.name} are not read: it is neither UTF-8 text nor YAML ({type(error).__name__})"
        raise BadFileError(problem, "Put the file right, or remove it.") from error
    if path.name.lower() in _LISTS:
        return YoloClasses(names={at: line.strip() for at, line in enumerate(text.splitlines()) if line.strip()})
    if not isinstance(content, dict):
        return None
    names, shape = content.get("names"), content.get("kpt_shape")
    numbered = enumerate(names) if isinstance(names, list) else names.items() if isinstance(names, dict) else ()
    sides = [side for side in shape if isinstance(side, int)] if isinstance(shape, list) else []
    return YoloClasses(
        names={int(number): str(name) for number, name in numbered if str(number).isdigit()},
        num_keypoint_values=prod(sides) if len(sides) == 2 else 0,
    )


def _shape(row: Sequence[str], size: tuple[int, int], classes: YoloClasses, place: str) -> ObjectShape:
    names, (kind, *sides) = classes.names, (number(text) for text in row)
    if classes.num_keypoint_values and len(sides) == 4 + classes.num_keypoint_values:
        sides = sides[:4]
    if kind != int(kind) or kind < 0 or (names and int(kind) not in names):
        listed = f"the names go from {min(names)} to {max(names)}" if names else "classes are whole numbers"
        raise ObjectError("are of a class that has no name", f"class {kind:g}, {listed}")
    if any(not -_SLACK <= side <= 1 + _SLACK for side in sides):
        beyond = max(sides, key=abs)
        raise ObjectError("are not in fractions of their picture", f"{beyond:g} is not from 0 to 1")
    label, (height, width) = label_text(names.get(int(kind), f"class {kind:g}")), size
    if len(sides) == 4:
        x, y, across, down = sides
        box = (x - across / 2) * width, (y - down / 2) * height, (x + across / 2) * width, (y + down / 2) * height
        return object_from_box(label, box, place=place)
    if len(sides) < 6 or len(sides) % 2:
        raise ObjectError(
            "are neither box nor outline", f"{counted(len(sides), 'number')} after the class; a box has 4"
        )
    points = [(x * width, y * height) for x, y in zip(sides[::2], sides[1::2], strict=True)]
    return object_from_outlines(label, [points], place=place)
