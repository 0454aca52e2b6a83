"""One object of a picture, as its file annotates it."""

from dataclasses import dataclass, field

from trainable.data.annotations.objects.run_lengths import RunLengthMask

Points = tuple[tuple[float, float], ...]
Sides = tuple[float, float, float, float]


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
