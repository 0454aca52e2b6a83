"""COCO json: pictures, categories and objects that refer to them by number."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from trainable.data.annotations.objects.annotation_file import AnnotationFile
from trainable.data.annotations.objects.masks import object_from_run_lengths
from trainable.data.annotations.objects.outlines import object_from_outlines
from trainable.data.annotations.objects.shapes import ObjectShape
from trainable.data.annotations.objects.written_values import POINTS_ALONE, ObjectError, label_text, number, stated_size
from trainable.data.io.findings import BadFileError

SECTIONS = ("images", "annotations", "categories")


def read_coco(content: Mapping[str, Any]) -> AnnotationFile:
    """Every object by itself: one that refers to nothing, or to two things, is left out.

    Raises:
        BadFileError: a section is missing or is not a list of objects.
    """
    for section in SECTIONS:
        entries = content.get(section)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            problem = f"is COCO json, but its section {section} is {'missing' if entries is None else 'not a list'}"
            raise BadFileError(problem, "Export it again as COCO instances, or remove the file.")
    found = AnnotationFile()
    pictures = _by_id(content["images"], "file_name")
    names = _by_id(content["categories"], "name")
    for entry in content["images"]:
        name = entry.get("file_name")
        if isinstance(name, str) and len(pictures.get(_key(entry.get("id")), [])) == 1:
            found.picture(name, stated_size(entry.get("height"), entry.get("width")))
    for index, entry in enumerate(content["annotations"], start=1):
        _add(found, entry, f"object {entry.get('id', f'number {index}')}", pictures, names)
    if any("score" in entry for entry in content["annotations"]):
        found.predicted.append("holds a score of its objects, as predictions do")
    found.drop_repeated()
    return found


def _by_id(entries: Sequence[Mapping[str, Any]], field: str) -> dict[str, list[str]]:
    """Every name that an id is given to; an entry without an id is nobody's."""
    found: dict[str, list[str]] = {}
    for entry in (entry for entry in entries if entry.get("id") is not None):
        name, own = entry.get(field), found.setdefault(_key(entry.get("id")), [])
        if isinstance(name, str | int) and str(name) not in own:
            own.append(str(name))
    return found


def _key(number_or_text: object) -> str:
    """1, 1.0 and "1" are one id."""
    text = str(number_or_text).strip()
    return text.removesuffix(".0")


def _add(
    found: AnnotationFile,
    entry: Mapping[str, Any],
    place: str,
    pictures: Mapping[str, list[str]],
    names: Mapping[str, list[str]],
) -> None:
    of_image = pictures.get(_key(entry.get("image_id")), [])
    if len(of_image) != 1:
        found.num_objects += 1
        reason = "name a picture that is given twice" if of_image else "name no picture of the file"
        detail = f"image_id {entry.get('image_id')!r}{' is ' + ' and '.join(of_image[:3]) if of_image else ''}"
        found.leave_out(of_image[0] if of_image else "", place, reason, detail)
        return
    size = found.picture(of_image[0]).size
    found.add(of_image[0], place, partial(_shape, entry, place, names, size))


def _shape(
    entry: Mapping[str, Any], place: str, names: Mapping[str, list[str]], size: tuple[int, int] | None
) -> ObjectShape:
    if str(entry.get("iscrowd", 0)) not in ("0", "False", "None", "0.0"):
        raise ObjectError("mark a crowd, not one object (iscrowd=1)", "its area counts as background")
    of_category = names.get(_key(entry.get("category_id")), [])
    if len(of_category) != 1:
        reason = "are of a category that is given twice" if of_category else "are of no category of the file"
        meant = f" is {' and '.join(of_category)}" if of_category else ""
        raise ObjectError(reason, f"category_id {entry.get('category_id')!r}{meant}")
    label, segmentation = label_text(of_category[0]), entry.get("segmentation") or []
    if isinstance(segmentation, Mapping):
        return _object_from_segmentation(label, segmentation, place, size)
    box = _corners(entry.get("bbox"))
    parts = segmentation if isinstance(segmentation, list) else [segmentation]
    if parts and all(isinstance(part, int | float | str) for part in parts):
        parts = [parts]
    if not parts and box is None:
        if entry.get("keypoints"):
            raise ObjectError(POINTS_ALONE, "keypoints")
        raise ObjectError("have neither outline nor box", "segmentation and bbox are empty")
    return object_from_outlines(label, [_points(part) for part in parts], box=box, place=place)


def _object_from_segmentation(
    label: str, segmentation: Mapping[str, Any], place: str, size: tuple[int, int] | None
) -> ObjectShape:
    shape = object_from_run_lengths(label, segmentation, place=place)
    assert shape.run_length is not None
    height, width = shape.run_length.size
    if size is not None and size != (height, width):
        raise ObjectError(
            "have a run-length mask of another size than their picture",
            f"{width}x{height}, the picture {size[1]}x{size[0]}",
        )
    return shape


def _points(part: object) -> list[Any]:
    """Pairs of a list of numbers, or the pairs that it holds; a part of an odd number of them has no pairs."""
    if not isinstance(part, list):
        return []
    if part and all(isinstance(point, list) and len(point) == 2 for point in part):
        return part
    return list(zip(part[::2], part[1::2], strict=True)) if len(part) % 2 == 0 else []


def _corners(box: object) -> list[object] | None:
    if box is None or box == []:
        return None
    if not isinstance(box, list) or len(box) != 4:
        raise ObjectError("have a box that is not four numbers", repr(box)[:40])
    left, top, width, height = map(number, box)
    return [left, top, left + width, top + height]
