"""DOTA's txt: one file a picture, an object a line, the four corners of its box in pixels before its kind."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from trainable.data.annotations.objects.annotation_file import AnnotationFile
from trainable.data.annotations.objects.outlines import object_from_outlines
from trainable.data.annotations.objects.shapes import ObjectShape
from trainable.data.annotations.objects.written_values import is_number, label_text

_NUM_CORNERS = 8
_HEAD = ("imagesource:", "gsd:")
"""Lines above the objects that say where the picture is from."""


def is_dota(path: Path) -> bool:
    """Whether each line of a text below its head is eight numbers, a kind and perhaps how difficult it is."""
    rows = _rows(path)
    return bool(rows) and all(
        len(row) in (_NUM_CORNERS + 1, _NUM_CORNERS + 2)
        and all(map(is_number, row[:_NUM_CORNERS]))
        and not is_number(row[_NUM_CORNERS])
        for _, row in rows
    )


def read_dota(path: Path) -> AnnotationFile:
    """The picture is that of the file's own name."""
    found = AnnotationFile()
    found.picture(path.stem)
    for number, row in _rows(path):
        place = f"line {number}"
        found.add(path.stem, place, partial(_shape, row, place))
    found.drop_repeated()
    return found


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    return [
        (number, line.split())
        for number, line in enumerate(lines, start=1)
        if line.strip() and not line.lower().startswith(_HEAD)
    ]


def _shape(row: Sequence[str], place: str) -> ObjectShape:
    corners = row[:_NUM_CORNERS]
    points = list(zip(corners[::2], corners[1::2], strict=True))
    return object_from_outlines(label_text(row[_NUM_CORNERS]), [points], place=place)
