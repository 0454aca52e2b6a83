"""KITTI's txt: one file a picture, an object a line, its box in pixels behind its kind and three other numbers."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from trainable.data.annotations.objects.annotation_file import AnnotationFile
from trainable.data.annotations.objects.boxes import object_from_box
from trainable.data.annotations.objects.shapes import ObjectShape
from trainable.data.annotations.objects.written_values import ObjectError, is_number, label_text

_NUM_CELLS = (15, 16)
"""A score is the last where a network found the object."""


def is_kitti(path: Path) -> bool:
    """Whether each line of a text is a kind and 14 or 15 numbers."""
    rows = _rows(path)
    return bool(rows) and all(
        len(row) in _NUM_CELLS and not is_number(row[0]) and all(map(is_number, row[1:])) for row in rows
    )


def read_kitti(path: Path) -> AnnotationFile:
    """The picture is that of the file's own name; `DontCare` is left out."""
    found = AnnotationFile()
    found.picture(path.stem)
    for index, row in enumerate(_rows(path), start=1):
        place = f"line {index}"
        found.add(path.stem, place, partial(_shape, row, place))
        if len(row) == max(_NUM_CELLS) and not found.predicted:
            found.predicted.append("holds a score of its objects, as predictions do")
    found.drop_repeated()
    return found


def _rows(path: Path) -> list[list[str]]:
    text = path.read_text(encoding="utf-8", errors="replace")
    return [line.split() for line in text.splitlines() if line.strip()]


def _shape(row: Sequence[str], place: str) -> ObjectShape:
    if row[0].lower() == "dontcare":
        raise ObjectError("mark what was not annotated (DontCare)", "its area counts as background")
    return object_from_box(label_text(row[0]), row[4:8], place=place)
