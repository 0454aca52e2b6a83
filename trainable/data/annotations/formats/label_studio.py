"""Label Studio's json: a list of tasks, each with a picture and its regions in percent of the sides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import radians
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from trainable.data.annotations.objects.annotation_file import AnnotationFile, OtherFileError
from trainable.data.annotations.objects.masks import no_pixels, object_from_mask
from trainable.data.annotations.objects.outlines import ellipse, object_from_outlines, object_from_turned_box
from trainable.data.annotations.objects.shapes import ObjectShape
from trainable.data.annotations.objects.written_values import POINTS_ALONE, ObjectError, label_text, number, stated_size
from trainable.data.io.counted import counted

_KINDS = {
    "rectanglelabels": "rectangle",
    "polygonlabels": "polygon",
    "ellipselabels": "ellipse",
    "keypointlabels": "keypoint",
    "brushlabels": "brush",
}


def read_label_studio(content: Sequence[Any]) -> AnnotationFile:
    """A task that nobody annotated says nothing; of several annotations of one, the first is used, and noted.

    Raises:
        OtherFileError: no task has annotations.
    """
    found, several = AnnotationFile(), []
    for task in content:
        own = _annotations(task)
        if not own:
            continue
        name = _picture(task["data"])
        several += [name] if len(own) > 1 else []
        regions = [region for region in own[0]["result"] if isinstance(region, dict) and _kind(region)]
        found.picture(name, _size(regions))
        for index, region in enumerate(regions, start=1):
            place = f"region {index}"
            found.add(name, place, partial(_shape, region, place))
    if not found.pictures:
        raise OtherFileError("is Label Studio json without annotations; export the annotated tasks as JSON")
    if several:
        tasks = counted(len(several), "picture has", "pictures have")
        found.notes.append(f"{tasks} several annotations, such as {several[0]}; the first of each is read")
    found.drop_repeated()
    return found


def _annotations(task: object) -> list[Mapping[str, Any]]:
    """Returns the annotations of a task that were not cancelled, also from older exports."""
    if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
        return []
    listed = task.get("annotations", task.get("completions"))
    entries = listed if isinstance(listed, list) else []
    whole = [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("result"), list)]
    return [entry for entry in whole if not entry.get("was_cancelled")]


def _picture(data: Mapping[str, Any]) -> str:
    """The address of the picture; that of a file on the server stands behind `?d=`."""
    texts = [value for key, value in data.items() if isinstance(value, str)]
    address = next((value for key, value in data.items() if key in ("image", "img") and isinstance(value, str)), "")
    address = address or next(iter(texts), "")
    return parse_qs(urlsplit(address).query).get("d", [address])[0]


def _kind(region: Mapping[str, Any]) -> str:
    """Empty for what marks no place, such as a choice for the whole picture."""
    kind = str(region.get("type"))
    return _KINDS.get(kind, kind if kind in _KINDS.values() else "")


def _size(regions: Sequence[Mapping[str, Any]]) -> tuple[int, int] | None:
    return stated_size(regions[0].get("original_height"), regions[0].get("original_width")) if regions else None


def _shape(region: Mapping[str, Any], place: str) -> ObjectShape:
    kind, at, size = _kind(region), region.get("value"), _size([region])
    if kind == "keypoint":
        raise ObjectError(POINTS_ALONE, "a keypoint")
    if not isinstance(at, dict) or size is None:
        raise ObjectError("have no value, or no original_width and original_height", repr(at)[:40])
    named = at.get(str(region.get("type"))) or [None]
    label = label_text(named[0] if isinstance(named, list) else named)
    if kind == "brush":
        return object_from_mask(label, decode_brush(at.get("rle"), size), place=place)
    down, across = (side / 100 for side in size)
    if kind == "polygon":
        points = at.get("points")
        if not isinstance(points, list) or not all(isinstance(one, list) and len(one) == 2 for one in points):
            raise ObjectError("have no points", repr(points)[:40])
        return object_from_outlines(label, [[(number(x) * across, number(y) * down) for x, y in points]], place=place)
    x, y, degrees = number(at.get("x")) * across, number(at.get("y")) * down, number(at.get("rotation", 0))
    if kind == "ellipse":
        radii = number(at.get("radiusX")) * across, number(at.get("radiusY")) * down
        return object_from_outlines(label, [ellipse((x, y), *radii, turn=radians(degrees))], place=place)
    right, bottom = x + number(at.get("width")) * across, y + number(at.get("height")) * down
    return object_from_turned_box(label, (x, y, right, bottom), degrees, about=(x, y), place=place)


def decode_brush(rle: object, size: tuple[int, int]) -> np.ndarray:
    """bool, shape `size`: what a brush covers, from the bits in which Label Studio writes levels of red to opacity.

    A head of 32 bits for the number of levels, 5 for the bits of one and 4 for each of four lengths, then runs: a bit
    that says whether one level repeats, 2 for which of the lengths, the number of levels, and the one or all of them.
    """
    if not isinstance(rle, list) or not all(isinstance(byte, int) and 0 <= byte < 256 for byte in rle):
        raise ObjectError("have a damaged brush", "its rle is not a list of bytes")
    covered, bits = no_pixels(size), _Bits(bytes(rle))
    num_levels, level_bits = bits.take(32), bits.take(5) + 1
    length_bits = [bits.take(4) + 1 for _ in range(4)]
    if num_levels != 4 * size[0] * size[1]:
        raise ObjectError("have a damaged brush", f"{num_levels} levels of {size[1]}x{size[0]} pixels")
    levels = np.zeros(num_levels, np.uint8)
    start = 0
    while start < num_levels:
        repeats = bits.take(1)
        end = start + 1 + bits.take(length_bits[bits.take(2)])
        if end > num_levels:
            raise ObjectError("have a damaged brush", f"a run to level {end} of {num_levels}")
        levels[start:end] = bits.take(level_bits) if repeats else [bits.take(level_bits) for _ in range(start, end)]
        start = end
    covered[:] = levels.reshape(*size, 4)[..., 3] > 0
    return covered


@dataclass(slots=True)
class _Bits:
    """Whole numbers from bits, the highest first."""

    content: bytes
    position: int = 0

    def take(self, number: int) -> int:
        first, self.position = self.position // 8, self.position + number
        last = -(-self.position // 8)
        if last > len(self.content):
            raise ObjectError("have a damaged brush", "it ends too soon")
        around = int.from_bytes(self.content[first:last])
        return around >> 8 * last - self.position & (1 << number) - 1
