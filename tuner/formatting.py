"""Formats numbers, times, parameters and image counts for people, in the same way in terminal, report and figures."""

import math
import shlex
from collections.abc import Mapping
from pathlib import Path

from trainable.data.io.counted import counted as count
from trainable.reporting.number_text import duration_text
from trainable.reporting.number_text import number_text as number

duration = duration_text


def difference(value: float) -> str:
    """Formats a signed difference like `number`, but a small one with two significant digits.

    >>> difference(0.0314), difference(-0.0000047), difference(0.0)
    ('+0.031', '-4.7e-06', '+0.000')
    """
    sign = "-" if value < 0 else "+"
    return sign + number(abs(value), 2 if abs(value) < 0.01 and value else 3)


def gain(value: float) -> str:
    """Formats a gain as better or worse, since a sign would mislead for a loss."""
    return f"{difference(abs(value))[1:]} {'better' if value > 0 else 'worse'}" if value else "no better"


def about(seconds: float) -> str:
    """Formats a duration for a sentence, in whole units.

    >>> about(8), about(370), about(9000)
    ('8 seconds', '6 minutes', '2.5 hours')
    """
    if seconds < 90:
        return count(max(1, round(seconds)), "second")
    if seconds < 5400:
        return count(round(seconds / 60), "minute")
    return count(round(seconds / 1800) / 2, "hour")


def duration_with_unit(seconds: float) -> str:
    """Formats a duration with the unit of its first number.

    >>> duration_with_unit(72), duration_with_unit(3672)
    ('1:12 min', '1:01:12 h')
    """
    return f"{duration(seconds)} {'min' if round(seconds) < 3600 else 'h'}"


def metric(name: str) -> str:
    """A metric's name without its split: `s_measure` for `val/s_measure`."""
    return name.partition("/")[2] or name


def argument(value: Path | str) -> str:
    """Quotes an argument for a shell command that people copy.

    >>> argument("results/moe/a run")
    "'results/moe/a run'"
    """
    return shlex.quote(str(value))


def path(target: Path) -> str:
    """Formats a path, relative to the working folder if it is inside."""
    here = Path.cwd()
    return str(target.relative_to(here) if target.is_relative_to(here) else target)


def parameter(value: object) -> str:
    """Formats a float with three significant digits; near 1, as for decays, three of its distance to 1.

    >>> parameter(0.00012345), parameter(0.99967777), parameter(3)
    ('0.000123', '0.999678', '3')
    """
    if not isinstance(value, float):
        return str(value)
    near_one = 0.99 < abs(value) < 1
    return f"{value:.{2 - math.floor(math.log10(1 - abs(value))) if near_one else 3}g}"


def one_line(text: str) -> str:
    """Removes line breaks and control characters, which a library's error message may contain."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def code(text: str) -> str:
    """Formats text as a code span, in which Markdown and HTML have no effect, even if it contains back-ticks."""
    text = one_line(text)
    longest = max(map(len, "".join(letter if letter == "`" else " " for letter in text).split()), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}" if longest else f"`{text}`"


def reason(error: Exception) -> str:
    """Formats an error as the end of a sentence: one line, at most 300 characters, without its full stop."""
    return one_line(str(error))[:300].removesuffix(".")


FEW = 20
"""Below this, one image changes a mean score by more than configurations usually differ."""


def counts_in_words(images: Mapping[str, int], size_px: tuple[int, int] | None) -> str | None:
    """`train 7, validation 3, test 2 images at 240 x 240 px`, or None without a size or images.

    Args:
        size_px: height and width.
    """
    if size_px is None or not images:
        return None
    *others, (last, number) = images.items()
    counts = [*(f"{split} {own}" for split, own in others), f"{last} {count(number, 'image')}"]
    height, width = size_px
    return f"{', '.join(counts)} at {width} x {height} px"


def warning_of_few(images: Mapping[str, int]) -> str | None:
    """A sentence when validation or test is small."""
    few = [(split, number) for split, number in images.items() if split != "train" and number < FEW]
    if not few:
        return None
    *others, (last, number) = few
    counts = [*(f"{own} {split}" for split, own in others), count(number, f"{last} image")]
    return f"Only {' and '.join(counts)}: too few to rank configurations."
