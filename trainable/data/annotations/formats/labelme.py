"""LabelMe json: one picture a file, its shapes as points."""

import base64
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from trainable.data.annotations.objects.annotation_file import AnnotatedPicture, AnnotationFile
from trainable.data.annotations.objects.boxes import object_from_corners
from trainable.data.annotations.objects.inline_masks import on_picture, open_png
from trainable.data.annotations.objects.masks import object_from_mask
from trainable.data.annotations.objects.outlines import ellipse, object_from_outlines
from trainable.data.annotations.objects.shapes import ObjectShape
from trainable.data.annotations.objects.written_values import ObjectError, label_text, number, stated_size
from trainable.data.io.counted import counted
from trainable.data.io.decoding import DECODER_ERRORS


def read_labelme(content: Mapping[str, Any], own_name: str) -> AnnotationFile:
    """Shapes of one label and one group_id are parts of one object.

    Args:
        own_name: of the file, which stands for the picture's where that is empty.
    """
    found = AnnotationFile()
    name = str(content.get("imagePath") or own_name)
    picture = found.picture(name, stated_size(content.get("imageHeight"), content.get("imageWidth")))
    for index, entry in enumerate(content["shapes"], start=1):
        place = f"shape {index}"
        found.add(name, place, partial(_shape, entry, place, picture.size))
    entries = enumerate(content["shapes"], start=1)
    _join_groups(picture, {f"shape {i}": entry.get("group_id") for i, entry in entries if isinstance(entry, dict)})
    found.drop_repeated()
    return found


def _shape(entry: object, place: str, size: tuple[int, int] | None) -> ObjectShape:
    if not isinstance(entry, dict) or not isinstance(entry.get("points"), list):
        raise ObjectError("have no points", repr(entry)[:40])
    label, points, kind = label_text(entry.get("label")), entry["points"], entry.get("shape_type") or "polygon"
    if not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise ObjectError("have a point that is not two numbers", repr(points)[:40])
    if kind == "polygon":
        return object_from_outlines(label, [points], place=place)
    if kind == "rectangle" and len(points) in (2, 4):
        return object_from_corners(label, points, place=place)
    if kind == "circle" and len(points) == 2:
        (x, y), rim = ([number(side) for side in point] for point in points)
        radius = math.hypot(rim[0] - x, rim[1] - y)
        return object_from_outlines(label, [ellipse((x, y), radius, radius)], place=place)
    if kind == "mask" and len(points) == 2 and size is not None:
        return object_from_mask(label, _pixels(entry.get("mask"), points[0], size), place=place)
    raise ObjectError("are neither outline nor box", f"shape_type {kind!r} of {counted(len(points), 'point')}")


def _pixels(mask: object, corner: Sequence[object], size: tuple[int, int]) -> np.ndarray:
    """bool, shape `size`, of a PNG in base 64 whose upper left pixel lies at the corner."""
    try:
        inside = np.asarray(open_png(base64.b64decode(str(mask), validate=True))) > 0
    except DECODER_ERRORS as error:
        raise ObjectError("have a damaged mask", str(error)[:40]) from error
    left, top = (int(number(side)) for side in corner)
    return on_picture(inside, (left, top), size)


def _join_groups(picture: AnnotatedPicture, groups: Mapping[str, object]) -> None:
    """Several outlines of one object, as where a branch hides its middle."""
    joined: dict[tuple[str, str], ObjectShape] = {}
    for shape in picture.shapes:
        group = groups.get(shape.place)
        key = (shape.label, f"group {group}" if group is not None and shape.polygons else shape.place)
        first = joined.get(key)
        parts = [*first.polygons, *shape.polygons] if first else shape.polygons
        joined[key] = object_from_outlines(shape.label, parts, place=first.place) if first else shape
    picture.shapes = list(joined.values())
