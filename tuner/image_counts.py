"""How many images a search trains, compares and tests on, in words, and whether they are too few to say much."""

from collections.abc import Mapping
from typing import Any

FEW = 20
"""Below so many, a single image moves a mean score by more than configurations usually differ."""


def counts_in_words(settings: Mapping[str, Any]) -> str | None:
    """`train 7, validation 3, test 2 images at 240 x 240 px`; None where an older search did not record them."""
    if "images" not in settings:
        return None
    counts = ", ".join(f"{split} {count}" for split, count in settings.images.items())
    height, width = settings.image_size_px
    return f"{counts} images at {width} x {height} px"


def warning_of_few(settings: Mapping[str, Any]) -> str | None:
    """A sentence when validation or test is small."""
    judging = {split: count for split, count in settings.get("images", {}).items() if split != "train"}
    few = [f"{count} {split}" for split, count in judging.items() if count < FEW]
    return f"Only {' and '.join(few)} images: so few decide little." if few else None
