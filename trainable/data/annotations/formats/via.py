"""VGG Image Annotator: its projects, its json exports of either version, and its csv export."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from trainable.data.annotations.objects.annotation_file import AnnotationFile
from trainable.data.annotations.objects.boxes import object_from_box
from trainable.data.annotations.objects.outlines import ellipse, object_from_outlines
from trainable.data.annotations.objects.shapes import ObjectShape
from trainable.data.annotations.objects.written_values import ObjectError, label_text, number
from trainable.data.io.findings import BadFileError
from trainable.data.io.table import Table

VIA_COLUMN = "region_shape_attributes"
_METADATA = "_via_img_metadata"
_EXPORT_AGAIN = "Export it again, or remove the file."


def is_via(content: Mapping[str, Any]) -> bool:
    entries = content.get(_METADATA, content)
    return isinstance(entries, dict) and any(
        isinstance(entry, dict) and {"filename", "regions"} <= entry.keys() for entry in entries.values()
    )


def read_via(content: Mapping[str, Any]) -> AnnotationFile:
    """One picture an entry, its regions as a list (version 2) or by number (version 1).

    Raises:
        BadFileError: two attributes of its regions could be the label.
    """
    found = AnnotationFile()
    entries = [entry for entry in content.get(_METADATA, content).values() if isinstance(entry, dict)]
    regions: dict[str, list[Mapping[str, Any]]] = {}
    for entry in entries:
        own = entry.get("regions")
        listed = own.values() if isinstance(own, dict) else own if isinstance(own, list) else ()
        regions.setdefault(str(entry.get("filename")), []).extend(one for one in listed if isinstance(one, dict))
    attribute = _label_attribute([region for own in regions.values() for region in own])
    for name, own in regions.items():
        found.picture(name)
        for index, region in enumerate(own, start=1):
            place = f"region {index}"
            found.add(name, place, partial(_shape, region, attribute, place))
    found.drop_repeated()
    return found


def read_via_rows(table: Table) -> AnnotationFile:
    """The csv export: a region a row, its attributes as json."""
    columns = {name.lstrip("#"): index for index, name in enumerate(table.header)}
    if missing := [name for name in ("filename", "region_attributes") if name not in columns]:
        raise BadFileError(f"is a csv of VGG Image Annotator without the column {missing[0]}", _EXPORT_AGAIN)
    regions = []
    for row in table.body:
        try:
            place, attributes = (
                json.loads(row.cells[columns[name]] or "{}") for name in (VIA_COLUMN, "region_attributes")
            )
        except (json.JSONDecodeError, RecursionError) as error:
            problem = f"row {row.number} is not a region of VGG Image Annotator ({type(error).__name__}: {error})"
            raise BadFileError(problem, _EXPORT_AGAIN) from error
        regions.append((row, {"shape_attributes": place, "region_attributes": attributes}))
    attribute = _label_attribute([region for _, region in regions])
    found = AnnotationFile()
    for row, region in regions:
        name, place = row.cells[columns["filename"]], f"row {row.number}"
        found.picture(name)
        if region["shape_attributes"]:
            found.add(name, place, partial(_shape, region, attribute, place))
    found.drop_repeated()
    return found


def _label_attribute(regions: list[Mapping[str, Any]]) -> str | None:
    names = sorted({name for region in regions for name in _mapping(region, "region_attributes")})
    if len(names) > 1:
        problem = f"has {len(names)} attributes of regions that could be the label: {', '.join(names)}"
        raise BadFileError(problem, "Keep the one that is the label, and remove the others.")
    return names[0] if names else None


def _shape(region: Mapping[str, Any], attribute: str | None, place: str) -> ObjectShape:
    written = _mapping(region, "region_attributes").get(attribute)
    if isinstance(written, dict):
        # The choices that are ticked.
        written = " ".join(sorted(str(name) for name, ticked in written.items() if ticked))
    label = label_text(written)
    at = _mapping(region, "shape_attributes")
    kind = at.get("name")
    if kind in ("polygon", "polyline"):
        across, down = at.get("all_points_x"), at.get("all_points_y")
        if not isinstance(across, list) or not isinstance(down, list) or len(across) != len(down):
            raise ObjectError("have unequal numbers of x and y", f"{str(across)[:20]} and {str(down)[:20]}")
        return object_from_outlines(label, [list(zip(across, down, strict=True))], place=place)
    if kind == "rect":
        left, top, width, height = (number(at.get(name)) for name in ("x", "y", "width", "height"))
        return object_from_box(label, (left, top, left + width, top + height), place=place)
    if kind in ("circle", "ellipse"):
        x, y = number(at.get("cx")), number(at.get("cy"))
        radii = ("r", "r") if kind == "circle" else ("rx", "ry")
        rim = ellipse((x, y), number(at.get(radii[0])), number(at.get(radii[1])), turn=number(at.get("theta", 0)))
        return object_from_outlines(label, [rim], place=place)
    raise ObjectError("are neither outline nor box", f"shape {kind!r}")


def _mapping(region: Mapping[str, Any], name: str) -> Mapping[Any, Any]:
    """Empty for anything else that stands there."""
    found = region.get(name)
    return found if isinstance(found, dict) else {}
