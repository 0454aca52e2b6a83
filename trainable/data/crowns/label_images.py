"""Label images of semantic classes: one number a pixel, as grey levels or palette indices, never a mask."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trainable.data.crowns.crown_set import VOID
from trainable.data.image_mask.mask_values import format_shares, in_eight_bits, value_counts
from trainable.data.io.decoding import read_upright
from trainable.data.io.findings import BadFileError, Finding, Severity

_AS_NUMBERS = "Save one grey level a class: 0, 1, 2, ..., and void as 255 or what void_label says."
_MIN_STEP = 10
"""Levels that are multiples of so much were chosen to be seen, not to be counted."""


def read_label_image(path: Path, void_label: int) -> np.ndarray:
    """uint8 classes with VOID, shape (H, W).

    Raises:
        BadFileError: it is damaged, has colours or more than 8 bits, or is a JPEG, which changes the numbers.
    """
    image = in_eight_bits(read_upright(path))
    if image.mode not in ("L", "P", "1"):
        raise BadFileError(
            f"is not a label image: it has colours or more than 8 bits (mode {image.mode}): {value_counts(image)}",
            _AS_NUMBERS,
        )
    if image.format == "JPEG":
        raise BadFileError(f"is a JPEG, whose compression changes class numbers: {value_counts(image)}", _AS_NUMBERS)
    labels = np.array(image, np.uint8)
    labels[labels == void_label] = VOID
    return labels


def semantic_classes(root: Path, files: Sequence[Path], void_label: int) -> tuple[tuple[str, ...], list[Finding]]:
    """Names of the classes, which are numbers, and what is worth knowing of them; no name without label images.

    An error for a label image that is none, and for values that cannot be class numbers.
    """
    counts, bad = np.zeros(256, np.int64), []
    for file in files:
        try:
            counts += np.bincount(read_label_image(root / file, void_label).ravel(), minlength=256)
        except BadFileError as error:
            bad.append(error.finding(file.as_posix()))
    last = int(np.flatnonzero(counts[:VOID]).max(initial=-1))
    names = tuple(f"class {number}" for number in range(last + 1))
    return names, [*bad, *_check_numbers(counts, void_label)] if counts.any() else bad


def _check_numbers(counts: np.ndarray, void_label: int) -> list[Finding]:
    """The values that are held; an error if they are no class numbers: 0 and 255 (a class and void), or 0, 50, 100."""
    numbers = np.flatnonzero(counts[:VOID]).tolist()
    held_values = np.flatnonzero(counts)
    held = f"the label images hold {format_shares([str(value) for value in held_values], counts[held_values])}"
    if len(numbers) == 1 and counts[VOID]:
        problem = f"{held}: one class, and void (void_label={void_label})"
        return [Finding(file="all label images", problem=problem, action=_AS_NUMBERS)]
    if math.gcd(*numbers) >= _MIN_STEP:
        problem = f"{held}: grey levels to be looked at, not numbers of classes"
        return [Finding(file="all label images", problem=problem, action=_AS_NUMBERS)]
    severity = Severity.WARNING if len(numbers) < 2 else Severity.NOTE
    return [Finding(file="all label images", problem=held, action="Read as numbers of classes.", severity=severity)]
