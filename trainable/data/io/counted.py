"""Numbers and sizes in words."""


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
