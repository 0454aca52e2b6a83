"""CreateML's json: a list of pictures, their objects as the centre and the sides of a box."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from trainable.data.annotations.objects.annotation_file import AnnotationFile
from trainable.data.annotations.objects.boxes import object_from_box
from trainable.data.annotations.objects.shapes import ObjectShape
from trainable.data.annotations.objects.written_values import ObjectError, label_text, number

_NAMES = ("image", "imagefilename", "filename")


def is_createml(content: Sequence[Any]) -> bool:
    """Whether the entries of a json list are pictures with their annotations."""
    return any(isinstance(entry, dict) and _name(entry) and "annotations" in entry for entry in content)


def read_createml(content: Sequence[Any]) -> AnnotationFile:
    """A picture without annotations has no object."""
    found = AnnotationFile()
    for entry in content:
        name = _name(entry) if isinstance(entry, dict) else ""
        if not name:
            continue
        found.picture(name)
        listed = entry.get("annotations") or []
        for index, box in enumerate(listed if isinstance(listed, list) else [listed], start=1):
            place = f"annotation {index}"
            found.add(name, place, partial(_shape, box, place))
    found.drop_repeated()
    return found


def _name(entry: Mapping[str, Any]) -> str:
    return next((name for key in _NAMES if isinstance(name := entry.get(key), str)), "")


def _shape(box: object, place: str) -> ObjectShape:
    at = box.get("coordinates") if isinstance(box, dict) else None
    if not isinstance(box, dict) or not isinstance(at, dict):
        raise ObjectError("have no coordinates", repr(box)[:40])
    x, y, width, height = (number(at.get(side)) for side in ("x", "y", "width", "height"))
    sides = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return object_from_box(label_text(box.get("label")), sides, place=place)
