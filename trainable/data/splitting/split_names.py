"""Train, validation and test as people name them, in folders and files, and what is left to divide.

A folder names a split by its first or last word: `train`, `Training_data`, `valid`, `dev`, `images_test`, `DUTS-TR`,
`a. Training Set`, `ISIC2018_Task1_Validation_Input`. What holds data by its name (`Input`, `masks`) is no such word.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

_SPLIT = {
    "train": re.compile(r"train(ing|val)?|tr|trn"),
    "validation": re.compile(r"val|valid|validation|dev|devel|development|eval|evaluation"),
    "test": re.compile(r"test(ing)?|te|ts|tst"),
}
_SHORT = {"tr", "te", "ts"}
"""Words for a split only at the end of a name, where challenges write them."""
_CONTENT = re.compile("images?|imgs?|input|masks?|gt|(ground)?truth|ground|labels?|annot|annotations?|data|dataset|set")
_JOINED = re.compile(r"(?<=.)(images?|imgs?|masks?|gt|labels?|annot|dataset|data|set)$")
_LETTERS = re.compile(r"[^\W\d_]+")
"""Words of any alphabet: `Forêts` is one word, and `ts` none."""
_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def split_of(place: Path) -> str | None:
    """The split that the first of the folders on a path names: train, validation or test; None when none does.

    A folder that names several, such as `train_test_split`, leaves it to those in it.
    """
    named = [splits for name in place.parts if (splits := _splits_in(name))]
    return next((splits[0] for splits in named if len({*splits}) == 1), named[0][0] if named else None)


def share_a_split(*places: Path) -> bool:
    """Whether these paths may be of one split; in each, numbers begin again: 7 of `train` is not 7 of `test`."""
    return bool(set.intersection(*map(_may_be, places)))


def split_of_all(places: Sequence[Path]) -> str | None:
    """The split that one of these paths names and the others leave open, else the first that is named; None when none
    is.
    """
    said = [split for place in places if (split := split_of(place))]
    fitting = [split for split in said if all(split in _may_be(place) for place in places)]
    return next(iter([*fitting, *said]), None)


def _may_be(place: Path) -> set[str]:
    """The splits that a path may be of: all that its names leave open, such as two of `trainval` and of `train_val`."""
    said = [
        {*splits, "validation"} if "trainval" in name.lower() else {*splits}
        for name in place.parts
        if (splits := _splits_in(name))
    ]
    return next((own for own in said if len(own) == 1), said[0] if said else {*_SPLIT})


def keep_named_splits(
    named: Sequence[str | None],
    fractions: Sequence[float],
    deal: Callable[[list[int], Mapping[str, float]], Sequence[str]],
) -> list[str]:
    """The split of each image: the named one; the others, and those of train, are dealt to splits without images.

    Args:
        fractions: shares of train, validation and test.
        deal: the splits of these rows, by these shares of the splits that may take some.
    """
    splits = [split or "train" for split in named]
    shares = {
        split: share for split, share in zip(_SPLIT, fractions, strict=True) if split == "train" or split not in splits
    }
    rows = [row for row, split in enumerate(splits) if split == "train"]
    for row, split in zip(rows, deal(rows, shares), strict=True):
        splits[row] = split
    return splits


def _splits_in(name: str) -> list[str]:
    """The split that the first or the last word of a name says, then those that all its words say; else none."""
    words = [word.lower() for word in _words_in(name)]
    while len(words) > 1 and len(words[0]) == 1:
        del words[0]
    while len(words) > 1 and _CONTENT.fullmatch(words[-1]):
        del words[-1]
    first, last = (_JOINED.sub("", word) for word in (words[0], words[-1])) if words else ("", "")
    candidates = [word for word in (first, last) if word not in _SHORT or word == last]
    said = _said_by(candidates)
    return [*said, *_said_by([word for word in words if word not in _SHORT])] if said else []


def _words_in(name: str) -> list[str]:
    composed = unicodedata.normalize("NFC", name)
    return [word for letters in _LETTERS.findall(composed) for word in _CAMEL_CASE.split(letters)]


def _said_by(words: Iterable[str]) -> list[str]:
    return [split for word in words for split, pattern in _SPLIT.items() if pattern.fullmatch(word)]
