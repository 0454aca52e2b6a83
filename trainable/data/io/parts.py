"""Train, validation and test as people name them, in folders and files, and what is left to divide.

A folder names a part by its first or last word: `train`, `Training_data`, `valid`, `dev`, `images_test`, `DUTS-TR`,
`a. Training Set`, `ISIC2018_Task1_Validation_Input`. What holds data by its name (`Input`, `masks`) is no such word.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

_PART = {
    "train": re.compile(r"train(ing|val)?|tr|trn"),
    "validation": re.compile(r"val|valid|validation|dev|devel|development|eval|evaluation"),
    "test": re.compile(r"test(ing)?|te|ts|tst"),
}
_SHORT = {"tr", "te", "ts"}
"""Of a part at the end of a name alone, where challenges write them."""
_CONTENT = re.compile("images?|imgs?|input|masks?|gt|(ground)?truth|ground|labels?|annot|annotations?|data|dataset|set")
_JOINED = re.compile(r"(?<=.)(images?|imgs?|masks?|gt|labels?|annot|dataset|data|set)$")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def split_of(place: Path) -> str | None:
    """The part that the first of the folders on a path names: train, validation or test; None when none does.

    A folder that names several, such as `train_test_split`, leaves it to those in it.
    """
    named = [parts for name in place.parts if (parts := _parts_in(name))]
    return next((parts[0] for parts in named if len({*parts}) == 1), named[0][0] if named else None)


def keep_named_parts(
    named: Sequence[str | None],
    fractions: Sequence[float],
    deal: Callable[[list[int], Mapping[str, float]], Sequence[str]],
) -> list[str]:
    """The part of each image: the one that is named; the others, and those of train, are dealt to parts without images.

    Args:
        fractions: shares of train, validation and test.
        deal: the parts of these rows, by these shares of the parts that may take some.
    """
    parts = [part or "train" for part in named]
    shares = {part: share for part, share in zip(_PART, fractions, strict=True) if part == "train" or part not in parts}
    rows = [row for row, part in enumerate(parts) if part == "train"]
    for row, part in zip(rows, deal(rows, shares), strict=True):
        parts[row] = part
    return parts


def _parts_in(name: str) -> list[str]:
    """The part that the first or the last word of a name says, then those that all its words say; else none."""
    words = [word.lower() for word in _WORD.findall(name)]
    while len(words) > 1 and len(words[0]) == 1:
        del words[0]
    while len(words) > 1 and _CONTENT.fullmatch(words[-1]):
        del words[-1]
    first, last = (_JOINED.sub("", word) for word in (words[0], words[-1])) if words else ("", "")
    candidates = [word for word in (first, last) if word not in _SHORT or word == last]
    said = _said_by(candidates)
    return [*said, *_said_by([word for word in words if word not in _SHORT])] if said else []


def _said_by(words: Iterable[str]) -> list[str]:
    return [part for word in words for part, pattern in _PART.items() if pattern.fullmatch(word)]
