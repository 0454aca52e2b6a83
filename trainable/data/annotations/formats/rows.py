"""Objects as rows of a table: corners of boxes, outlines as well-known text, or both."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from trainable.data.annotations.formats.via import VIA_COLUMN, read_via_rows
from trainable.data.annotations.objects.annotation_file import AnnotationFile, OtherFileError
from trainable.data.annotations.objects.boxes import object_from_box
from trainable.data.annotations.objects.outlines import object_from_outlines
from trainable.data.annotations.objects.shapes import ObjectShape
from trainable.data.annotations.objects.written_values import (
    POINTS_ALONE,
    UNNAMED,
    ObjectError,
    is_number,
    label_text,
    stated_size,
)
from trainable.data.io.findings import BadFileError
from trainable.data.io.folder_layout import IMAGE_ENDINGS
from trainable.data.io.table import Row, Table, check_scores, columns_named, read_table

_PICTURE = re.compile(r"^(image|img|file)( ?(path|name|file))?$|^image id$|^path$")
_LABEL = re.compile(r"^(label|class|class name|category|category name|species|kind)$")
_GEOMETRY = re.compile(r"^(geometry|wkt)$")
_CORNERS = (
    ("xmin", "ymin", "xmax", "ymax"),
    ("x min", "y min", "x max", "y max"),
    ("x1", "y1", "x2", "y2"),
    ("left", "top", "right", "bottom"),
)
_POINT = (re.compile("^x$"), re.compile("^y$"))
_SIDES = (re.compile("^(width|w)$"), re.compile("^(height|h)$"))
_POINTS = (
    "holds points (x, y), which say where an object is and not how large. Write a box around each, of the usual width "
    "of an object: a csv with image_path, xmin, ymin, xmax, ymax."
)
_CORNER_OR_CENTRE = (
    "holds x, y, width and height: x and y may be a corner of the box or its centre, the sides those of the box or of "
    "the picture. Write the corners instead: a csv with image_path, xmin, ymin, xmax, ymax."
)
_POINT_TEXT = re.compile(r"(?i)\s*(srid=\d+;)?\s*(multi)?point\b")
_OUTER_RING = re.compile(r"\(\(([^()]+)\)")
_NEEDED = "To be read as annotations, a csv needs image_path and either geometry or xmin, ymin, xmax, ymax."


def read_rows(path: Path) -> AnnotationFile:
    """One object a row; a row without a place says that its picture has no object.

    Raises:
        OtherFileError: it has not the columns of annotations.
        BadFileError: it is not a table, or two columns could be the picture or the label.
    """
    table = read_table(path)
    if VIA_COLUMN in table.header:
        return read_via_rows(table)
    cells = table.header
    # Rows of picture, left, top, right, bottom, label, as for RetinaNet; no corners where there is no object.
    has_corners = len(cells) == 6 and all(cell == "" or is_number(cell) for cell in cells[1:5])
    if has_corners and cells[0].lower().endswith(IMAGE_ENDINGS):
        return _read(table.rows, found=AnnotationFile(notes=[_noted(table, "no header")]), columns=_AS_RETINANET)
    columns = _columns(table)
    found = AnnotationFile(notes=[] if table.form == "UTF-8, separated by commas" else [_noted(table, "a header")])
    found.predicted = check_scores(table)
    for row in table.uneven:
        found.num_objects += 1
        detail = f"{len(row.cells)} of {len(table.header)}"
        found.leave_out("", f"row {row.number}", "have too few or too many cells", detail)
    return _read(table.body, found=found, columns=columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """Columns of the parts of an annotation."""

    picture: int
    label: int | None
    geometry: int | None
    corners: tuple[int, int, int, int] | None
    """Left, top, right and bottom."""
    size: tuple[int, int] | None = None
    """Height and width of the picture."""


_AS_RETINANET = _Columns(picture=0, label=5, geometry=None, corners=(1, 2, 3, 4))


def _noted(table: Table, header: str) -> str:
    return f"is read with {header}, {table.form}"


def _columns(table: Table) -> _Columns:
    picture = _only(table, _PICTURE, "the picture")
    geometry = _only(table, _GEOMETRY, "the outline")
    corners = next(filter(None, (_corners(table, names) for names in _CORNERS)), None)
    if geometry is None and corners is None and all(columns_named(table.header, side) for side in _POINT):
        has_sides = all(columns_named(table.header, side) for side in _SIDES)
        raise OtherFileError(_CORNER_OR_CENTRE if has_sides else _POINTS)
    if picture is None or (geometry is None and corners is None):
        raise OtherFileError(f"has the columns {', '.join(sorted(table.header)) or 'none'}. {_NEEDED}")
    height, width = (columns_named(table.header, re.compile(f"^{side}$")) for side in ("height", "width"))
    return _Columns(
        picture=picture,
        label=_only(table, _LABEL, "the label"),
        geometry=geometry,
        corners=corners,
        size=(height[0], width[0]) if corners and height and width else None,
    )


def _only(table: Table, pattern: re.Pattern[str], meaning: str) -> int | None:
    found = columns_named(table.header, pattern)
    if len(found) > 1:
        names = ", ".join(table.header[index] for index in found)
        action = "Keep one of them, or give the others names that say what they are."
        raise BadFileError(f"has {len(found)} columns that could be {meaning}: {names}", action)
    return found[0] if found else None


def _corners(table: Table, names: Sequence[str]) -> tuple[int, int, int, int] | None:
    places = [columns_named(table.header, re.compile(f"^{name}$")) for name in names]
    if not all(places):
        return None
    left, top, right, bottom = (found[0] for found in places)
    return left, top, right, bottom


def _read(rows: Sequence[Row], *, found: AnnotationFile, columns: _Columns) -> AnnotationFile:
    for row in rows:
        name = row.cells[columns.picture]
        if not name:
            found.num_objects += 1
            found.leave_out("", f"row {row.number}", "name no picture", "the cell is empty")
            continue
        size = None if columns.size is None else stated_size(*(row.cells[column] for column in columns.size))
        found.picture(name, size)
        read = _reader(row, columns)
        if read is not None:
            found.add(name, f"row {row.number}", read)
    found.drop_repeated()
    return found


def _reader(row: Row, columns: _Columns) -> Callable[[], ObjectShape] | None:
    """Returns a reader of the row's shape; None for a picture without objects: an empty box, or one of zeros."""
    label = UNNAMED if columns.label is None else label_text(row.cells[columns.label])
    geometry = "" if columns.geometry is None else row.cells[columns.geometry]
    sides = [row.cells[column] for column in columns.corners or ()]
    box = sides if any(side.lower() not in ("", "nan", "0", "0.0") for side in sides) else None
    place = f"row {row.number}"
    if geometry and geometry.lower() != "nan":
        return partial(_from_text, label, geometry, box, place)
    return None if box is None else partial(object_from_box, label, box, place=place)


def _from_text(label: str, geometry: str, box: Sequence[object] | None, place: str) -> ObjectShape:
    outlines = _OUTER_RING.findall(re.sub(r"\s*([()])\s*", r"\1", geometry))
    if not outlines and box is None:
        if _POINT_TEXT.match(geometry):
            raise ObjectError(POINTS_ALONE, repr(geometry[:40]))
        raise ObjectError("have a geometry that is not a POLYGON or MULTIPOLYGON", repr(geometry[:40]))
    # x and y of each point; heights are left.
    points = [[point.split()[:2] for point in outline.split(",")] for outline in outlines]
    shape = object_from_outlines(label, points, box=box, place=place)
    left, top, right, bottom = shape.box
    corners = {(left, top), (right, top), (right, bottom), (left, bottom)}
    # A box that was written as a polygon says no more than the box.
    is_box = len(shape.polygons) == 1 and set(shape.polygons[0]) == corners
    return object_from_box(label, shape.box, place=place) if is_box else shape
