"""One object as a file annotates it: checked as it is made, so that a bad one costs itself and says why."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from trainable.data.io.counted import counted
from trainable.data.io.decoding import MAX_PIXELS

Points = tuple[tuple[float, float], ...]
Sides = tuple[float, float, float, float]
UNNAMED = ""
"""Label of an object that its file gives none."""
_NO_NAMES = {"", "nan", "none", "null", "n/a", "na", "<na>"}
POINTS_ALONE = "are points, which say where an object is and not how large: write a box around each"
"""Why what is marked by points cannot be used, in the plural."""
_DAMAGED_RUNS = "have a damaged run-length mask"
_MOST_RUN_BITS = 35
"""More than a run within the largest picture that is read takes."""
_BOX_LEFT = "have no outline that can be used, only a box"


class ObjectError(ValueError):
    """Why one object cannot be used; the first argument is the same for all objects of this kind, in the plural."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLengthMask:
    """A mask in COCO's compressed form."""

    size: tuple[int, int]
    """Height and width of its picture in pixels."""
    counts: bytes

    def decoded(self) -> np.ndarray:
        """bool, shape `size`.

        Raises:
            ObjectError: the runs are damaged, or do not fill the picture.
        """
        # Not by pycocotools, which takes what a truncated mask lacks from whatever lies in memory.
        runs = _unpack_runs(self.counts)
        _check_runs(runs, *self.size)
        return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(self.size[::-1]).T


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectShape:
    """One object; x to the right and y down, in pixels."""

    label: str
    """In small letters; UNNAMED where there is none."""
    box: Sides
    """Left, top, right and bottom."""
    polygons: tuple[Points, ...] = ()
    """Outlines of its parts; empty when there is no outline."""
    run_length: RunLengthMask | None = None
    place: str = field(default="", compare=False)
    """Where it stands in its file, such as `row 7`."""
    remark: tuple[str, str] | None = field(default=None, compare=False)
    """The part of the annotation that was not used, as a phrase in the plural, and a detail."""

    @property
    def is_outlined(self) -> bool:
        return bool(self.polygons) or self.run_length is not None

    def lies_outside(self, size: tuple[int, int]) -> bool:
        """Whether a picture of this height and width has nothing of its box."""
        left, top, right, bottom = self.box
        return left >= size[1] or top >= size[0] or right <= 0 or bottom <= 0


def label_text(value: object) -> str:
    """A label in small letters; UNNAMED for what stands for none, such as an empty cell or `nan`."""
    text = "" if value is None else str(value).strip().lower()
    return UNNAMED if text in _NO_NAMES else text


def number(value: object) -> float:
    """A finite number, from text too.

    Raises:
        ObjectError: it is none.
    """
    try:
        found = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
    except (ValueError, OverflowError):
        found = None
    if found is None:
        raise ObjectError("have a coordinate that is not a number", repr(value)[:40])
    if not math.isfinite(found):
        raise ObjectError("have a coordinate that is not finite", repr(value)[:40])
    return found


def is_number(value: object) -> bool:
    """Whether `number` takes it."""
    try:
        number(value)
    except ObjectError:
        return False
    return True


def stated_size(height: object, width: object) -> tuple[int, int] | None:
    """Height and width in pixels; None where a file states none, or 0 as some programs do."""
    try:
        size = int(number(height)), int(number(width))
    except ObjectError:
        return None
    return size if min(size) > 0 else None


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


def no_pixels(size: tuple[int, int]) -> np.ndarray:
    """bool, shape (height, width), all False; takes no memory before it is written to.

    Raises:
        ObjectError: the size that a file states is beyond any picture that is read.
    """
    if size[0] * size[1] > MAX_PIXELS:
        raise ObjectError("have a mask larger than any picture that is read", f"{size[1]}x{size[0]} pixels")
    return np.zeros(size, bool)


def object_from_mask(label: str, pixels: np.ndarray, *, place: str) -> ObjectShape:
    """An object given by its pixels.

    Args:
        pixels: bool, shape (height, width) of its picture.
    """
    encoded = coco_mask.encode(np.asfortranarray(pixels, np.uint8))
    return run_length(label, {"size": pixels.shape, "counts": encoded["counts"].decode()}, place=place)


def run_length(label: str, mask: Mapping[str, Any], *, place: str) -> ObjectShape:
    """An object given as COCO's run-length mask, compressed or not.

    Raises:
        ObjectError: it is damaged or empty.
    """
    try:
        height, width = (int(number(side)) for side in mask["size"])
        no_pixels((height, width))
        found = RunLengthMask(size=(height, width), counts=_compress(mask["counts"], height, width))
        pixels = found.decoded()
    except (KeyError, TypeError, ValueError, OverflowError, MemoryError) as error:
        detail = error.detail if isinstance(error, ObjectError) else str(error) or type(error).__name__
        raise ObjectError(_DAMAGED_RUNS, detail) from error
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if not len(rows):
        raise ObjectError("have a run-length mask of no pixel", f"{width}x{height}")
    box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
    return ObjectShape(label=label, box=box, run_length=found, place=place)


def _compress(counts: object, height: int, width: int) -> bytes:
    if isinstance(counts, str):
        return counts.encode()
    if not isinstance(counts, Sequence):
        raise ObjectError(_DAMAGED_RUNS, f"its counts are {type(counts).__name__}")
    runs = [int(number(run)) for run in counts]
    _check_runs(runs, height, width)
    return coco_mask.frPyObjects({"size": [height, width], "counts": runs}, height, width)["counts"]


def _unpack_runs(counts: bytes) -> list[int]:
    """The runs of ground and object in turn, down the columns, that COCO's compressed form holds.

    Five bits a character, the lowest first, another bit says that more follow; from the fourth run on it is the
    difference to the last but one.
    """
    runs: list[int] = []
    run = num_bits = 0
    for character in counts:
        bits = character - 48
        if not 0 <= bits < 64 or num_bits >= _MOST_RUN_BITS:
            raise ObjectError(_DAMAGED_RUNS, f"what follows run {len(runs)} is no run-length")
        run |= (bits & 31) << num_bits
        num_bits += 5
        if not bits & 32:
            run -= (bits & 16) << num_bits - 4
            runs.append(run + runs[-2] if len(runs) > 2 else run)
            run = num_bits = 0
    if num_bits:
        raise ObjectError(_DAMAGED_RUNS, f"it ends within run {len(runs) + 1}")
    return runs


def _check_runs(runs: Sequence[int], height: int, width: int) -> None:
    if min(runs, default=-1) < 0 or sum(runs) != height * width:
        raise ObjectError(_DAMAGED_RUNS, f"runs of {sum(runs)} pixels for a picture of {width}x{height}")


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
