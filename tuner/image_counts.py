"""How many images a search trains, compares and tests on, in words, and whether they are too few to say much."""

from collections.abc import Mapping

FEW = 20
"""Below so many, a single image moves a mean score by more than configurations usually differ."""


def counts_in_words(images: Mapping[str, int], size_px: tuple[int, int]) -> str:
    """`train 7, validation 3, test 2 images at 240 x 240 px`; the size is height and width."""
    counts = ", ".join(f"{split} {count}" for split, count in images.items())
    height, width = size_px
    return f"{counts} images at {width} x {height} px"


def warning_of_few(images: Mapping[str, int]) -> str | None:
    """A sentence when validation or test is small."""
    few = [f"{count} {split}" for split, count in images.items() if split != "train" and count < FEW]
    return f"Only {' and '.join(few)} images: too few to rank configurations." if few else None
