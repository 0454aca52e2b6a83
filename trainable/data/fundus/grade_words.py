"""A grade as people write it: a number, `Grade 2`, or a word of the international scale such as `Moderate NPDR`."""

import re

from trainable.data.io.table import normalise_name

_NUMBERED = re.compile(r"(?:grade|stage|level|class|dr)[ _]?([0-9.]+)")
_WORDS = {
    "retinopathy": re.compile(
        r"(?P<g0>normal|no(?: apparent)?)|(?P<g1>mild)|(?P<g2>moderate)|(?P<g3>severe)|(?P<g4>proliferat(?:iv)?e|pdr)"
    )
}
_MAY_FOLLOW = re.compile(r"(?: (?:n?pdr|dr|non proliferative|retinopathy|diabetic retinopathy))*$")
"""Words that may follow one of the international scale: `No DR`, `Mild NPDR`, `Proliferate_DR`."""


def grade_in_words(text: str, task: str) -> int | None:
    """The grade that a word of the task's scale names; None for what is none."""
    word = _WORDS[task].fullmatch(_MAY_FOLLOW.sub("", normalise_name(text))) if task in _WORDS else None
    return None if word is None else int(str(word.lastgroup)[1:])


def number_of(cell: str, task: str) -> float:
    """The grade in a cell in small letters: a number, `grade 2` or a word of the task's scale; -1 for anything else."""
    if (grade := grade_in_words(cell, task)) is not None:
        return float(grade)
    numbered = _NUMBERED.fullmatch(cell)
    try:
        return float(numbered[1] if numbered else cell)
    except ValueError:
        return -1.0
