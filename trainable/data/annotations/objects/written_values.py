"""Numbers, labels and sizes as files write them; why one object cannot be used."""

import math

UNNAMED = ""
"""Label of an object that its file gives none."""
_NO_NAMES = {"", "nan", "none", "null", "n/a", "na", "<na>"}
POINTS_ALONE = "are points, which say where an object is and not how large: write a box around each"
"""Why what is marked by points cannot be used, in the plural."""


class ObjectError(ValueError):
    """Why one object cannot be used; the first argument is the same for all objects of this kind, in the plural."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


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
