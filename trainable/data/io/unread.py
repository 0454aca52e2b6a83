"""Files that hold pictures and are not read: archives, arrays, pictures of other kinds; named, with what to do."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from trainable.data.io.findings import Finding, Severity
from trainable.data.io.folder_layout import COMMON_ENDINGS, UNREAD_PICTURE_ENDINGS, plain_name

_ARCHIVE = re.compile(r"(?i).+\.(zip|tar|tgz|tbz2?|txz|7z|rar|gz|bz2|xz|zst)(\.[0-9]+)?")
_CONTAINER = re.compile(r"(?i).+\.(h5|hdf5|np[yz]|mat|pkl|pickle|tfrecords?|lmdb|mdb|parquet|arrow|rec|zarr)")
_DOCUMENTS = (".pdf", ".svg")
"""Pictures as well, which lie beside data as its description."""


def what_to_unpack(files: Sequence[Path]) -> str:
    """A sentence, with a space before it, for a folder in which nothing was found; empty where nothing explains it."""
    for pattern, action in (
        (_ARCHIVE, "is an archive: unpack it there, and remove it."),
        (_CONTAINER, "may hold pictures, which are not read from inside of it: write each into a file."),
    ):
        if found := [file for file in files if pattern.fullmatch(file.name)]:
            return f" {plain_name(found[0])} {action}"
    endings = Counter(file.suffix.lower() for file in files if file.suffix.lower() in UNREAD_PICTURE_ENDINGS)
    listed = ", ".join(f"{number} {ending}" for ending, number in sorted(endings.items()))
    return f" It holds pictures that are not read, {listed}: save them as {COMMON_ENDINGS}." if endings else ""


def unread_pictures(files: Sequence[Path]) -> list[Finding]:
    """A warning for each folder with pictures of a kind that is not read, such as .heic."""
    held: dict[Path, Counter[str]] = {}
    for file in files:
        ending = file.suffix.lower()
        if ending in UNREAD_PICTURE_ENDINGS and ending not in _DOCUMENTS:
            held.setdefault(file.parent, Counter())[ending] += 1
    return [
        Finding(
            file=plain_name(folder),
            problem="holds pictures that are not read: "
            + ", ".join(f"{number} {ending}" for ending, number in sorted(endings.items())),
            action=f"Left out; save them as {COMMON_ENDINGS} to use them.",
            severity=Severity.WARNING,
        )
        for folder, endings in held.items()
    ]
