"""Objects that are given by a box."""

from collections.abc import Sequence

from trainable.data.annotations.objects.shapes import ObjectShape
from trainable.data.annotations.objects.written_values import ObjectError, number


def object_from_box(
    label: str, sides: Sequence[object], *, place: str = "", remark: tuple[str, str] | None = None
) -> ObjectShape:
    """An object of which left, top, right and bottom are known.

    Raises:
        ObjectError: a side is not a number, or the box has no area.
    """
    if len(sides) != 4:
        raise ObjectError("have a box that is not four numbers", repr(list(sides)))
    left, top, right, bottom = map(number, sides)
    if not (left < right and top < bottom):
        raise ObjectError("have a box without area", f"from ({left:g}, {top:g}) to ({right:g}, {bottom:g})")
    return ObjectShape(label=label, box=(left, top, right, bottom), place=place, remark=remark)


def object_from_corners(label: str, corners: Sequence[tuple[object, object]], *, place: str) -> ObjectShape:
    """A box with these corners (x, y), in any order; raises ObjectError as `object_from_box` does."""
    across, down = zip(*((number(x), number(y)) for x, y in corners), strict=True)
    return object_from_box(label, (min(across), min(down), max(across), max(down)), place=place)
