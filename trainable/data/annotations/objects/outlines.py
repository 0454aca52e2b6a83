"""Objects that are given by their outlines, or by what becomes one: a turned box, an ellipse."""

import math
from collections.abc import Sequence
from typing import Any

from trainable.data.annotations.objects.boxes import object_from_box
from trainable.data.annotations.objects.shapes import ObjectShape, Points
from trainable.data.annotations.objects.written_values import ObjectError, number
from trainable.data.io.counted import counted

_BOX_LEFT = "have no outline that can be used, only a box"
_NUM_RIM_POINTS = 32


def object_from_outlines(
    label: str, outlines: Sequence[Any], *, place: str, box: Sequence[object] | None = None
) -> ObjectShape:
    """An object with the outlines of its parts, each a sequence of (x, y).

    Parts of fewer than three points or without area are left out, with a remark. Where none is left the object is
    its box, if there is one.

    Raises:
        ObjectError: neither outline nor box can be used.
    """
    parts, reasons = [], []
    for outline in outlines:
        try:
            parts.append(_check_part(outline))
        except ObjectError as error:
            reasons.append(error)
    if parts:
        across, down = zip(*(point for part in parts for point in part), strict=True)
        sides = (min(across), min(down), max(across), max(down))
        remark = ("have a part that is not an outline; it is left out", reasons[0].detail) if reasons else None
        return ObjectShape(label=label, box=sides, polygons=tuple(parts), place=place, remark=remark)
    if box is None:
        raise reasons[0] if reasons else ObjectError("have an empty outline", "no point")
    return object_from_box(label, box, place=place, remark=(_BOX_LEFT, reasons[0].detail) if reasons else None)


def object_from_turned_box(
    label: str,
    sides: Sequence[object],
    degrees: float,
    *,
    place: str,
    about: tuple[float, float] | None = None,
) -> ObjectShape:
    """A box that is turned clockwise about a point, its own centre if none is given; its corners are the outline.

    Raises:
        ObjectError: as of `object_from_box`.
    """
    box = object_from_box(label, sides, place=place)
    if degrees % 360 == 0:
        return box
    left, top, right, bottom = box.box
    x, y = about or ((left + right) / 2, (top + bottom) / 2)
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    offsets = [(across - x, down - y) for across, down in ((left, top), (right, top), (right, bottom), (left, bottom))]
    corners = [(x + cosine * dx - sine * dy, y + sine * dx + cosine * dy) for dx, dy in offsets]
    return object_from_outlines(label, [corners], place=place)


def ellipse(centre: tuple[float, float], across: float, down: float, *, turn: float = 0.0) -> list[tuple[float, float]]:
    """Points on the rim of an ellipse of these two radii, turned by radians."""
    rim = []
    for step in range(_NUM_RIM_POINTS):
        angle = 2 * math.pi * step / _NUM_RIM_POINTS
        x, y = across * math.cos(angle), down * math.sin(angle)
        rim.append(
            (centre[0] + x * math.cos(turn) - y * math.sin(turn), centre[1] + x * math.sin(turn) + y * math.cos(turn))
        )
    return rim


def _check_part(outline: Any) -> Points:
    if any(len(point) != 2 for point in outline):
        raise ObjectError("have a point that is not two numbers", repr(outline)[:40])
    points = tuple((number(x), number(y)) for x, y in outline)
    num_points = len(set(points))
    if num_points < 3:
        raise ObjectError("have fewer than three points", counted(num_points, "point"))
    # All on the line through the first two that differ; most outlines leave it with the third.
    offsets = [(x - points[0][0], y - points[0][1]) for x, y in points]
    along_x, along_y = next(offset for offset in offsets if offset != (0, 0))
    length = abs(along_x) + abs(along_y)
    if all(abs(along_x * y - along_y * x) <= 1e-9 * length * (abs(x) + abs(y)) for x, y in offsets):
        raise ObjectError("have an outline without area", f"{num_points} points on one line")
    return points
