"""Crowns as people annotate them: COCO json, Pascal VOC xml, csv of boxes, csv of polygons. One typed form for all.

An image is known by its file name without ending, since annotations often name another format than the one at hand.
"""

import csv
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from trainable.data.io.findings import BadFileError

_BOX_COLUMNS = ("xmin", "ymin", "xmax", "ymax")
_OUTER_RING = re.compile(r"\(\(([^()]+)\)")
_REPAIR = "Put the file right, or remove it."

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrownShape:
    """One crown; x to the right and y down, in pixels."""

    label: str
    """In small letters."""
    box: tuple[float, float, float, float]
    """Left, top, right and bottom."""
    polygons: tuple[Points, ...] = ()
    """Outlines of its parts; empty when a box is all that is known."""


Annotations = dict[str, list[CrownShape]]
"""By image; an empty list says that the image holds no crown."""


def read_annotations(path: Path) -> Annotations:
    """What a file annotates.

    Raises:
        BadFileError: it is none of the forms, or damaged.
    """
    try:
        return _READERS[path.suffix.lower()](path)
    except (KeyError, TypeError, ValueError, StopIteration, ElementTree.ParseError) as error:
        if isinstance(error, BadFileError):
            raise
        raise BadFileError(f"cannot be read as annotations ({type(error).__name__}: {error})", _REPAIR) from error


def _read_coco(path: Path) -> Annotations:
    content = json.loads(path.read_text(encoding="utf-8"))
    names = {kind["id"]: str(kind["name"]) for kind in content["categories"]}
    images = {image["id"]: Path(image["file_name"]).stem for image in content["images"]}
    found: Annotations = {stem: [] for stem in images.values()}
    for crown in content["annotations"]:
        found[images[crown["image_id"]]].append(_coco_shape(crown, names[crown["category_id"]]))
    return found


def _coco_shape(crown: Mapping[str, Any], label: str) -> CrownShape:
    outlines = crown.get("segmentation") or []
    if not isinstance(outlines, list):
        raise BadFileError(f"crown {crown.get('id')} has a run-length mask", "Export the crowns as polygons.")
    polygons = tuple(tuple(zip(outline[::2], outline[1::2], strict=True)) for outline in outlines)
    if polygons:
        return _outlined(label, polygons)
    left, top, width, height = crown["bbox"]
    return _boxed(label, (left, top, left + width, top + height))


def _read_voc(path: Path) -> Annotations:
    root = ElementTree.parse(path).getroot()
    shapes = [
        _boxed(_text(crown, "name"), [float(_text(crown, f"bndbox/{side}")) for side in _BOX_COLUMNS])
        for crown in root.iter("object")
    ]
    return {Path(_text(root, "filename")).stem: shapes}


def _text(element: ElementTree.Element, path: str) -> str:
    text = element.findtext(path)
    if text is None:
        raise ValueError(f"{element.tag} has no {path}")
    return text


def _read_csv(path: Path) -> Annotations:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = set(rows[0]) if rows else set()
    if "image_path" not in columns or not ({"geometry"} <= columns or set(_BOX_COLUMNS) <= columns):
        raise BadFileError(
            f"has the columns {', '.join(map(str, sorted(columns, key=str)))}",
            "To be read as annotations, a csv needs image_path and either geometry or xmin, ymin, xmax, ymax.",
        )
    found: Annotations = {}
    for row in rows:
        shapes = found.setdefault(Path(row["image_path"]).stem, [])
        shape = _csv_shape(row)
        if shape is not None:
            shapes.append(shape)
    return found


def _csv_shape(row: Mapping[str, str]) -> CrownShape | None:
    """None for the row of an image without crowns: no place, or a box of zeros."""
    label = row.get("label") or "crown"
    if row.get("geometry"):
        outlines = _OUTER_RING.findall(row["geometry"])
        if not outlines:
            raise ValueError(f"geometry {row['geometry'][:40]!r} is no POLYGON or MULTIPOLYGON")
        shape = _outlined(label, tuple(tuple(_point(text) for text in outline.split(",")) for outline in outlines))
        return _boxed(label, shape.box) if _is_rectangle(shape) else shape
    sides = [float(row.get(column) or 0) for column in _BOX_COLUMNS]
    return _boxed(label, sides) if any(sides) else None


def _point(text: str) -> tuple[float, float]:
    across, down, *_ = map(float, text.split())
    return across, down


def _is_rectangle(shape: CrownShape) -> bool:
    """A box that was written as a polygon says no more than the box."""
    left, top, right, bottom = shape.box
    corners = {(left, top), (right, top), (right, bottom), (left, bottom)}
    return len(shape.polygons) == 1 and set(shape.polygons[0]) == corners


def _outlined(label: str, polygons: tuple[Points, ...]) -> CrownShape:
    across, down = zip(*(point for polygon in polygons for point in polygon), strict=True)
    box = (min(across), min(down), max(across), max(down))
    return CrownShape(label=label.strip().lower(), box=_checked(box), polygons=polygons)


def _boxed(label: str, sides: Sequence[float]) -> CrownShape:
    return CrownShape(label=label.strip().lower(), box=_checked(sides))


def _checked(sides: Sequence[float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(side) for side in sides)
    if not (left < right and top < bottom):
        raise ValueError(f"the box from ({left:g}, {top:g}) to ({right:g}, {bottom:g}) has no area")
    return left, top, right, bottom


_READERS: dict[str, Callable[[Path], Annotations]] = {".json": _read_coco, ".xml": _read_voc, ".csv": _read_csv}
ANNOTATION_ENDINGS = tuple(_READERS)
