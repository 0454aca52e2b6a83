"""Are these masks what they seem? One mask at a time (levels, colours, size), then all together (polarity, emptiness).

Foreground is 255 and binarised above 127. Levels that only compression or smoothed edges can have left are read with a
warning; what could mean something else (class ids, colours, 255 as background) stops, and is never guessed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from trainable.data.image_mask.mask_values import class_levels, level_counts, levels_of, value_counts
from trainable.data.io.counted import counted, wide_by_high
from trainable.data.io.decoding import Header, has_transparency, is_deep
from trainable.data.io.findings import BadFileError, Finding, Severity

BINARISE_ABOVE = 127
_ALL = "all masks"
_AS_BINARY = "Save masks as 8-bit grey images of 0 (background) and 255 (object)."
_OR_VALUES = "or say which of these values are the object, such as --set foreground_values='[\"{}\"]'."
_TWO_COLOURS = f"Save masks as 8-bit grey images of 0 (background) and 255 (object), {_OR_VALUES.format('255/0/0')}"
_TWO_CLASSES = f"Save masks of two classes, 0 and 255 (object), void as one of them, {_OR_VALUES.format('1')}"
_NO_OBJECT = f"Save masks as 8-bit grey images of 0 (background) and 255 (object), {_OR_VALUES.format('1')}"
_SAME_VALUE = 8
"""Levels by which the object of one mask may be darker than that of another."""
_MAX_NAMED = 4
_COLOUR_SPREAD = 64
_COLOUR_FRACTION = 0.001
_SOFT_FRACTION = 0.02
_COMPRESSED_BLACK = 32
_HISTOGRAM_PERCENT = (0, 1, 5, 20, 50, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskFacts:
    """Facts about one mask that the checks of a whole set compare."""

    file: str
    foreground: float
    """Fraction of the pixels."""
    border_foreground: float
    """Fraction of the outermost ring of pixels."""
    brightest: int = 255
    """The brightest value of the file: 1 where it holds 0 and 1, 0 where it is black."""
    num_levels: int = 2
    """How many values the file holds."""


def binarise(
    image: Image.Image, file: str, *, inverted: bool = False, foreground_values: Sequence[str] = ()
) -> tuple[np.ndarray, list[Finding]]:
    """uint8 0 or 1, shape (h, w), and the warnings about this file.

    Args:
        foreground_values: grey levels (`255`) and colours (`255/0/0`) that are the object, and nothing else is; none:
            what is above 127, where the mask can mean nothing else.

    Raises:
        BadFileError: the picture can be read in more than one way.
    """
    if foreground_values:
        return _with_values(image, foreground_values), []
    if has_transparency(image):
        grey, alpha = image.convert("RGB").convert("L"), image.convert("RGBA").getchannel("A")
        # Where white is opaque and black is not, both say the same object.
        same = (np.asarray(grey) > BINARISE_ABOVE) == (np.asarray(alpha) > BINARISE_ABOVE)
        image = grey if same.all() else image
    if is_deep(image) or has_transparency(image):
        kind = "transparency" if has_transparency(image) else "more than 8 bits per pixel"
        raise BadFileError(f"is a mask with {kind} (mode {image.mode}): {value_counts(image)}", _AS_BINARY)
    findings = _check_colours(image, file)
    levels = np.asarray(image if image.mode == "L" else image.convert("L"))
    counts = level_counts(levels)
    findings += _check_levels(levels, counts, file, is_jpeg=image.format == "JPEG")
    threshold = 0 if _is_zero_one(counts) else BINARISE_ABOVE
    mask = (levels > threshold) ^ inverted
    return mask.astype(np.uint8), findings


def facts_of(mask: np.ndarray, file: str, *, histogram: Sequence[int] = (1, *(0,) * 254, 1)) -> MaskFacts:
    """Args: histogram: pixels of the file at each grey level."""
    levels = np.flatnonzero(histogram)
    ring = np.concatenate([mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]])
    foreground, border = float(mask.mean()), float(ring.mean())
    return MaskFacts(
        file=file,
        foreground=foreground,
        border_foreground=border,
        brightest=int(levels.max(initial=0)),
        num_levels=len(levels),
    )


def check_image(header: Header, file: str) -> list[Finding]:
    if not header.has_alpha:
        return []
    problem = "has a fourth band, declared as alpha"
    action = "Red, green and blue are read as they are; the fourth band (transparency, or infrared) is not."
    return [Finding(file=file, problem=problem, action=action, severity=Severity.WARNING)]


def check_size(image: Header, mask_size: tuple[int, int], file: str) -> list[Finding]:
    """`mask_size` is (height, width) after the EXIF turn, as that of the image is."""
    if image.size == mask_size:
        return []
    swapped = ", which is the image before its EXIF turn" if image.is_turned else ": width and height are swapped"
    how = swapped if image.size == mask_size[::-1] else ""
    return [
        Finding(
            file=file,
            problem=f"is {wide_by_high(mask_size)} but its image is {wide_by_high(image.size)}{how}",
            action="Make mask and image the same size (masks by nearest neighbour), or remove the pair.",
        )
    ]


def check_conventions(facts: Sequence[MaskFacts]) -> list[Finding]:
    """An error where masks of two values differ in the brighter one: another class, void, or 0 and 1 beside 255."""
    if differing := _other_values(facts):
        return differing
    ones = [fact.file for fact in facts if fact.brightest == 1]
    others = [fact.file for fact in facts if fact.brightest > 1]
    if not ones or not others:
        return []
    problem = f"{len(ones)} hold 0 and 1 ({ones[0]}), {len(others)} hold up to 255 ({others[0]}), which may be void"
    return [Finding(file=_ALL, problem=problem, action="Save all masks alike, as 0 (background) and 255 (object).")]


def _other_values(facts: Sequence[MaskFacts]) -> list[Finding]:
    """Finding on masks with different single values besides black, as for classes or instances in separate files."""
    files: dict[int, list[str]] = {}
    for fact in facts:
        if fact.num_levels <= 2 and fact.brightest > BINARISE_ABOVE:
            files.setdefault(fact.brightest, []).append(fact.file)
    values = sorted(files)
    if not values or values[-1] - values[0] <= _SAME_VALUE:
        return []
    held = [f"{len(files[value])} hold {value} ({files[value][0]})" for value in values]
    more = f" and {counted(len(held) - _MAX_NAMED, 'more value')}" if len(held) > _MAX_NAMED else ""
    problem = f"beside 0 {', '.join(held[:_MAX_NAMED])}{more}: these may be classes, instances or void"
    return [Finding(file=_ALL, problem=problem, action=f"Save all masks as 0 and 255, {_OR_VALUES.format('255')}")]


def check_polarity(facts: Sequence[MaskFacts], inverted_masks: bool | None) -> list[Finding]:
    """An error if the masks look inverted; `inverted_masks=False` is the user's word that they are not."""
    filled = [fact for fact in facts if fact.foreground > 0]
    if inverted_masks is False or not filled:
        return []
    median = float(np.median([fact.foreground for fact in filled]))
    num_framed = sum(fact.border_foreground > 0.5 for fact in filled)
    if median <= 0.5 and num_framed <= len(filled) / 2:
        return _single_inverted(filled)
    seen = (
        f"the object covers {median:.0%} of the median mask and most of the border in {num_framed} of {len(filled)}: "
        "they look inverted"
    )
    if inverted_masks:
        action = "Leave --inverted-masks out: 255 already is the object in these masks."
        return [Finding(file=_ALL, problem=f"after --inverted-masks {seen}", action=action)]
    action = (
        "If 255 is the background in these masks, add --inverted-masks; "
        "if the objects really are that large, --no-inverted-masks."
    )
    return [Finding(file=_ALL, problem=seen, action=action)]


def describe_values(facts: Sequence[MaskFacts], foreground_values: Sequence[str]) -> list[Finding]:
    """A note on how many masks hold an object value, and how large the object is; an error if none holds one."""
    number = sum(fact.foreground > 0 for fact in facts)
    held = f"{number} of {len(facts)} masks hold {' or '.join(foreground_values)}"
    if facts and not number:
        action = "Give values that the masks hold; those of each mask are named where foreground_values are left out."
        return [Finding(file=_ALL, problem=held, action=action)]
    action = "Read as the object, as foreground_values say; all other values are background."
    read = Finding(file=_ALL, problem=held, action=action, severity=Severity.NOTE)
    return [read, *describe_foreground(facts)]


def describe_foreground(facts: Sequence[MaskFacts]) -> list[Finding]:
    """A note with the histogram of object sizes. Empty masks are counted; if all are empty, that is an error."""
    num_empty = sum(fact.foreground == 0 for fact in facts)
    percent = np.array([100 * fact.foreground for fact in facts if fact.foreground > 0])
    if not percent.size:
        problem = f"not one of {len(facts)} masks has a pixel above {BINARISE_ABOVE}"
        return [Finding(file=_ALL, problem=problem, action=_AS_BINARY)] if facts else []
    counts, _ = np.histogram(percent, _HISTOGRAM_PERCENT)
    bins = zip(_HISTOGRAM_PERCENT, _HISTOGRAM_PERCENT[1:], counts, strict=False)
    histogram = ", ".join(f"{low}-{high} %: {count}" for low, high, count in bins)
    problem = (
        f"object from {percent.min():.2g} to {percent.max():.2g} % of the image, median {np.median(percent):.2g} % "
        f"({histogram}; empty: {num_empty} of {len(facts)})"
    )
    return [Finding(file=_ALL, problem=problem, action="Sizes of the objects; nothing to do.", severity=Severity.NOTE)]


def _with_values(image: Image.Image, foreground_values: Sequence[str]) -> np.ndarray:
    """Marks the pixels that have one of the values exactly: uint8 0 or 1, shape (h, w)."""
    if image.format == "JPEG" or is_deep(image):
        kind = "a JPEG, whose compression changes its values" if image.format == "JPEG" else "of more than 8 bits"
        raise BadFileError(f"is {kind}: {value_counts(image)}", "Save it without loss to use data.foreground_values.")
    pixels = np.asarray(image.convert("RGB"))
    mask = np.zeros(pixels.shape[:2], np.uint8)
    for value in foreground_values:
        mask |= (pixels == np.array(levels_of(value), np.uint8)).all(axis=2)
    return mask


def _single_inverted(filled: Sequence[MaskFacts]) -> list[Finding]:
    return [
        Finding(
            file=fact.file,
            problem=f"the object covers {fact.foreground:.0%} and most of the border, unlike in most masks",
            action="Look at it: this one mask may be inverted. It is used as it is.",
            severity=Severity.WARNING,
        )
        for fact in filled
        if fact.foreground > 0.5 and fact.border_foreground > 0.5
    ]


def _check_colours(image: Image.Image, file: str) -> list[Finding]:
    if image.mode in ("1", "L", "LA"):
        return []
    channels = np.asarray(image.convert("RGB"))
    spread = channels.max(axis=2).astype(np.int16) - channels.min(axis=2)
    if (spread > _COLOUR_SPREAD).mean() > (_COLOUR_FRACTION if image.format == "JPEG" else 0):
        raise BadFileError(f"is a mask in colours, as of several classes: {value_counts(image)}", _TWO_COLOURS)
    if image.mode == "P":
        return []
    action = "Its channels agree and are read as grey levels; nothing to do."
    problem = f"is a mask of {len(image.getbands())} channels ({image.mode})"
    return [Finding(file=file, problem=problem, action=action, severity=Severity.WARNING)]


def _check_levels(grey: np.ndarray, counts: np.ndarray, file: str, *, is_jpeg: bool) -> list[Finding]:
    """counts: pixels at each of the 256 levels."""
    levels = np.flatnonzero(counts)
    brightest = int(levels[-1])
    if _is_zero_one(counts):
        action = "Read as 0 and 255; nothing to do."
        problem = "its values are 0 and 1"
        return [Finding(file=file, problem=problem, action=action, severity=Severity.WARNING)]
    is_compressed_black = is_jpeg and brightest < _COMPRESSED_BLACK
    if 0 < brightest <= BINARISE_ABOVE and not is_compressed_black:
        values = value_counts(Image.fromarray(grey))
        problem = f"its brightest value is {brightest} of 255, so that nothing would be object: {values}"
        raise BadFileError(problem, _NO_OBJECT)
    if len(levels) <= 2:
        return []
    if class_levels(grey, is_jpeg=is_jpeg):
        raise BadFileError(f"holds more than two classes, or void: {value_counts(Image.fromarray(grey))}", _TWO_CLASSES)
    soft = counts[64:192].sum() / counts.sum()
    problem = f"has {len(levels)} grey levels, {soft:.1%} of its pixels between 64 and 191"
    action = f"Binarised above {BINARISE_ABOVE}; so few in-between pixels are compression or smoothed edges."
    if soft > _SOFT_FRACTION:
        action = f"Binarised above {BINARISE_ABOVE}; check that these levels mean nothing else (confidence, class)."
    return [Finding(file=file, problem=problem, action=action, severity=Severity.WARNING)]


def _is_zero_one(counts: np.ndarray) -> bool:
    return bool(counts[1]) and not counts[2:].any()
