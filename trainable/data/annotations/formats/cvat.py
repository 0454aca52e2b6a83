"""CVAT's xml, for images or a video: one file a task, its shapes as attributes."""

from functools import partial
from xml.etree.ElementTree import Element

import numpy as np

from trainable.data.annotations.objects.annotation_file import AnnotationFile
from trainable.data.annotations.objects.inline_masks import on_picture
from trainable.data.annotations.objects.masks import object_from_mask
from trainable.data.annotations.objects.outlines import ellipse, object_from_outlines, object_from_turned_box
from trainable.data.annotations.objects.shapes import ObjectShape
from trainable.data.annotations.objects.written_values import POINTS_ALONE, ObjectError, label_text, number, stated_size
from trainable.data.io.decoding import MAX_PIXELS

_SIDES = ("xtl", "ytl", "xbr", "ybr")


def read_cvat(root: Element) -> AnnotationFile:
    """Reads `<annotations>`; an image without shapes has no object.

    Of a video, whose shapes stand in tracks, frame 7 is the picture `frame_000007`, as it is exported.
    """
    found = AnnotationFile()
    names = {image.get("id", ""): image.get("name", "") for image in root.iter("image")}
    size = stated_size(root.findtext(".//original_size/height"), root.findtext(".//original_size/width"))
    for number_of, track in enumerate(root.iter("track"), start=1):
        for shape in track:
            frame = shape.get("frame", "")
            if shape.get("outside") == "1" or not frame.isdecimal():
                continue
            name, place = names.get(frame) or f"frame_{int(frame):06d}", f"track {number_of} frame {frame}"
            found.picture(name, size)
            found.add(name, place, partial(_shape, shape, size, place, track.get("label")))
    for image in root.iter("image"):
        name = image.get("name", "")
        size = stated_size(image.get("height"), image.get("width"))
        found.picture(name, size)
        shapes = [child for child in image if child.tag != "tag"]
        for index, shape in enumerate(shapes, start=1):
            place = f"shape {index}"
            found.add(name, place, partial(_shape, shape, size, place))
    found.drop_repeated()
    return found


def _shape(shape: Element, size: tuple[int, int] | None, place: str, label_of_track: str | None = None) -> ObjectShape:
    label = label_text(shape.get("label") or label_of_track)
    if shape.tag == "box":
        sides = [number(shape.get(side)) for side in _SIDES]
        return object_from_turned_box(label, sides, number(shape.get("rotation", 0)), place=place)
    if shape.tag == "polygon":
        points = [point.split(",") for point in shape.get("points", "").split(";")]
        return object_from_outlines(label, [points], place=place)
    if shape.tag == "ellipse":
        x, y, across, down = (number(shape.get(side)) for side in ("cx", "cy", "rx", "ry"))
        turn = np.deg2rad(number(shape.get("rotation", 0)))
        return object_from_outlines(label, [ellipse((x, y), across, down, turn=turn)], place=place)
    if shape.tag == "mask" and size is not None:
        return object_from_mask(label, _pixels(shape, size), place=place)
    if shape.tag == "points":
        raise ObjectError(POINTS_ALONE, "points")
    raise ObjectError("are neither outline nor box", f"<{shape.tag}>")


def _pixels(mask: Element, size: tuple[int, int]) -> np.ndarray:
    """bool, shape `size`: runs of background and object in turn, row by row, in the box at `left` and `top`."""
    left, top, width, height = (int(number(mask.get(side))) for side in ("left", "top", "width", "height"))
    runs = [int(number(run)) for run in mask.get("rle", "").split(",")]
    if min(runs) < 0 or sum(runs) != width * height or min(width, height) < 1 or width * height > MAX_PIXELS:
        raise ObjectError("have a damaged mask", f"runs of {sum(runs)} pixels in a box of {width}x{height}")
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    return on_picture(inside, (left, top), size)
