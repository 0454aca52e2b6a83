"""Supervisely's json: one file a picture, called as it (`a.jpg.json`), its objects as outlines, boxes or bitmaps."""

import base64
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from trainable.data.annotations.objects.annotation_file import AnnotationFile
from trainable.data.annotations.objects.boxes import object_from_corners
from trainable.data.annotations.objects.inline_masks import inflate, on_picture, open_png
from trainable.data.annotations.objects.masks import no_pixels, object_from_mask
from trainable.data.annotations.objects.outlines import object_from_outlines
from trainable.data.annotations.objects.rasterising import fill_outlines
from trainable.data.annotations.objects.shapes import ObjectShape
from trainable.data.annotations.objects.written_values import POINTS_ALONE, ObjectError, label_text, number, stated_size
from trainable.data.io.decoding import DECODER_ERRORS


def read_supervisely(content: Mapping[str, Any], picture: str) -> AnnotationFile:
    """Args: picture: its name, which the file does not say."""
    found = AnnotationFile()
    size = stated_size(content["size"].get("height"), content["size"].get("width"))
    found.picture(picture, size)
    for index, entry in enumerate(content["objects"], start=1):
        place = f"object {index}"
        found.add(picture, place, partial(_shape, entry, size, place))
    found.drop_repeated()
    return found


def _shape(entry: object, size: tuple[int, int] | None, place: str) -> ObjectShape:
    if not isinstance(entry, dict):
        raise ObjectError("are no objects", repr(entry)[:40])
    label, kind = label_text(entry.get("classTitle")), entry.get("geometryType")
    if kind == "bitmap" and size is not None:
        return object_from_mask(label, _pixels(entry.get("bitmap"), size), place=place)
    if kind == "point":
        raise ObjectError(POINTS_ALONE, "point")
    points = entry["points"].get("exterior") if isinstance(entry.get("points"), dict) else None
    if not isinstance(points, list) or not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise ObjectError("have no points", repr(points)[:40])
    if kind == "rectangle" and len(points) == 2:
        return object_from_corners(label, points, place=place)
    if kind == "polygon":
        outline = object_from_outlines(label, [points], place=place)
        holes = entry["points"].get("interior")
        return _without_holes(outline, holes, size) if holes and size is not None else outline
    raise ObjectError("are neither outline nor box", f"geometryType {kind!r}")


def _without_holes(outline: ObjectShape, holes: Sequence[Any], size: tuple[int, int]) -> ObjectShape:
    """The outline's pixels on the picture, less those of its holes; the outline itself where it lies beyond."""
    if outline.lies_outside(size):
        return outline
    no_pixels(size)
    try:
        parts = [part for hole in holes for part in object_from_outlines("", [hole], place="").polygons]
    except (ObjectError, TypeError) as error:
        raise ObjectError("have a damaged hole", repr(holes)[:40]) from error
    inside = fill_outlines(outline.polygons, (0, 0), size) & ~fill_outlines(parts, (0, 0), size)
    return object_from_mask(outline.label, inside, place=outline.place)


def _pixels(bitmap: object, size: tuple[int, int]) -> np.ndarray:
    """bool, shape `size`, of a zipped PNG that lies at `origin`."""
    if not isinstance(bitmap, dict):
        raise ObjectError("have a damaged bitmap", repr(bitmap)[:40])
    try:
        left, top = (int(number(side)) for side in bitmap["origin"])
        image = open_png(inflate(base64.b64decode(bitmap["data"])))
        inside = np.asarray(image.convert("RGBA"))[..., 3] > 0 if image.has_transparency_data else np.asarray(image) > 0
    except DECODER_ERRORS as error:
        raise ObjectError("have a damaged bitmap", str(error)[:40] or type(error).__name__) from error
    return on_picture(inside, (left, top), size)
