"""Numbers, sizes and lists in words."""

from collections.abc import Sequence


def counted(quantity: float, noun: str, plural: str | None = None) -> str:
    """The number with its noun; `plural` is for nouns that take more than an s.

    >>> counted(1, "epoch"), counted(12, "epoch"), counted(0.5, "CPU"), counted(2, "class", "classes")
    ('1 epoch', '12 epochs', '0.5 CPUs', '2 classes')
    """
    number = quantity if isinstance(quantity, int) else f"{quantity:g}"
    return f"{number} {noun if quantity == 1 else plural or f'{noun}s'}"


def wide_by_high(size: tuple[int, ...]) -> str:
    """A size (height, width, ...) in pixels, as people write it: width first."""
    return f"{size[1]}x{size[0]}"


def first_of(items: Sequence[object], most: int, *, separator: str = ", ") -> str:
    """The first few of many items.

    >>> first_of(["a.png", "b.png", "c.png"], 2)
    'a.png, b.png and 1 more'
    """
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return separator.join(map(str, items[:most])) + more
