"""Parts that lists name: `train.txt`, `valid.txt` and `test.txt` with a picture a line, as VOC and CamVid have them.

A column of a table names them too, such as `split`.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from trainable.data.io.counted import counted
from trainable.data.io.findings import BadFileError, Finding, Severity, note
from trainable.data.io.folder_layout import IMAGE_ENDINGS, files_below, plain_name
from trainable.data.io.parts import split_of
from trainable.data.io.table import TABLE_ENDINGS, Row, Table, columns_named, normalised, only_column, read_table

LEFT_OUT = "left out"
"""The part of a picture whose folder or list says none, where one of them says training."""
_ENDINGS = (".txt", ".lst")
_PART_COLUMN = re.compile(r"^((data ?)?set|split|subset|part|partition|phase|usage|fold)$")
_FLAG_COLUMN = re.compile(r"^(is|in) (?P<part>train|training|val|valid|validation|test)$")
_YES, _NO = ("true", "1", "1.0", "yes"), ("false", "0", "0.0", "no")
_MAX_NAMED = 3
Listed = list[tuple[str | None, str]]
"""Pictures with their part; None for one that is not here."""


def named_parts(
    root: Path, pictures: Sequence[Path], described_in: Sequence[Path | None] = ()
) -> tuple[list[str | None], list[Finding]]:
    """The part of each picture by its folders, or by lists where no folder names one, and findings about it.

    Beside a folder of training, pictures whose folders name no part are left out.

    Args:
        described_in: of each picture what says something of it, a mask's folder or a file of annotations; where no
            picture's folder names a part, these do: `masks/train`, `instances_test.json`.
    """
    places = [picture.parent for picture in pictures]
    parts = [split_of(place) for place in places]
    if not any(parts):
        places = [place or Path() for place in described_in]
        parts = [split_of(place) for place in places]
        # One part alone says what the file is for, not which pictures are kept apart.
        if len({*parts} - {None}) < 2:
            return listed_parts(root, pictures)
    findings = [describe_parts(places, parts)]
    if "train" not in parts:
        return parts, findings
    beside = Counter(picture.parent for picture, part in zip(pictures, parts, strict=True) if part is None)
    return [part or LEFT_OUT for part in parts], findings + [_beside(*one) for one in beside.items()]


def listed_parts(root: Path, pictures: Sequence[Path]) -> tuple[list[str | None], list[Finding]]:
    """The part of each picture by the lists below the root, and how they were read; None where there is no list.

    A line is the name of a picture, with or without folders and ending; what follows it on the line is passed over.
    """
    known = {name for picture in pictures for name in _names(picture)}
    parts_of: dict[str, dict[str, Path]] = {}
    findings: list[Finding] = []
    for file, listed in chain(_listed_in_texts(root, known), _listed_in_tables(root, known, findings)):
        findings.append(_described(file, listed))
        for name, part in listed:
            if name is not None:
                parts_of.setdefault(name, {}).setdefault(part, file)
    if not parts_of:
        return [None] * len(pictures), findings
    rest = LEFT_OUT if any("train" in own for own in parts_of.values()) else None
    found = [next((parts_of[name] for name in _names(picture) if name in parts_of), {}) for picture in pictures]
    findings += [_contradiction(picture, own) for picture, own in zip(pictures, found, strict=True) if len(own) > 1]
    parts = [next(iter(own), rest) for own in found]
    unlisted = [picture for picture, part in zip(pictures, parts, strict=True) if part == LEFT_OUT]
    return parts, findings + ([_unlisted(unlisted)] if unlisted else [])


def _listed_in_texts(root: Path, known: set[str]) -> Iterator[tuple[Path, Listed]]:
    for file in _lists_below(root):
        part = split_of(Path(file.stem))
        names = [_named_in(line, known) for line in _lines(root / file)]
        if part and any(names):
            yield file, [(name, part) for name in names]


def _listed_in_tables(root: Path, known: set[str], findings: list[Finding]) -> Iterator[tuple[Path, Listed]]:
    """Tables with a column of pictures and one of parts; what is wrong with the latter is added to the findings."""
    for file in files_below(root):
        if file.suffix.lower() not in TABLE_ENDINGS:
            continue
        try:
            table = read_table(root / file)
        except BadFileError:
            continue  # Reported by whoever needs its other columns.
        try:
            column = part_column(table)
        except BadFileError as error:
            findings.append(error.finding(plain_name(file)))
            continue
        names = None if column is None else _pictures_in(table, known)
        if names is not None:
            parts, problems = parts_of_rows(file, table, table.body, column)
            findings += problems
            if any(parts):
                yield file, [(name, part) for name, part in zip(names, parts, strict=True) if part and part != LEFT_OUT]


def _pictures_in(table: Table, known: set[str]) -> list[str | None] | None:
    """The picture that each row names, in the first column that names some."""
    for at in range(len(table.header)):
        names = [_named_in(row.cells[at], known) for row in table.body]
        if any(names):
            return names
    return None


def _described(file: Path, listed: Listed) -> Finding:
    counts = Counter(part for name, part in listed if name is not None)
    num_absent = sum(name is None for name, _ in listed)
    read = ", ".join(f"{counted(number, 'picture')} of {part}" for part, number in sorted(counts.items()))
    return note(plain_name(file), f"names {read}, {num_absent} not here", "Read as a list of a part; nothing to do.")


def _lists_below(root: Path) -> Sequence[Path]:
    """Texts that are called as a part; `trainval` says neither one part nor another.

    VOC has lists for several tasks; those of segmentation name the pictures that have masks.
    """
    texts = [file for file in files_below(root) if file.suffix.lower() in _ENDINGS]
    lists = [file for file in texts if split_of(Path(file.stem)) and "trainval" not in file.stem.lower()]
    segmentation = [file for file in lists if file.parent.name.lower() == "segmentation"]
    return segmentation or lists


def _lines(path: Path) -> list[str]:
    text = path.read_bytes().decode("utf-8-sig", "backslashreplace")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _named_in(line: str, known: set[str]) -> str | None:
    """Which of the known names a line gives; names may hold spaces, and more words may follow them."""
    words = line.replace("\\", "/").replace(",", " ").split()
    ends = [end for end, word in enumerate(words, start=1) if word.lower().endswith(IMAGE_ENDINGS)]
    for end in (*ends[:1], len(words), 1):
        for name in _names(Path(" ".join(words[:end]))):
            if name in known:
                return name
    return None


def _names(file: Path) -> list[str]:
    """What a picture may be called in a list: with its folder, or without."""
    stem = file.name[: -len(file.suffix)] if file.suffix.lower() in IMAGE_ENDINGS else file.name
    names = [plain_name(stem)]
    return [f"{plain_name(file.parent.name)}/{names[0]}", *names] if file.parent.name else names


def describe_parts(places: Sequence[Path], parts: Sequence[str | None]) -> Finding:
    """Which part each folder, list or table was taken for, by the last name on its path that says one."""
    folders = Counter(
        (part, [plain_name(name) for name in place.parts if split_of(Path(name)) == part][-1])
        for place, part in zip(places, parts, strict=True)
        if part is not None
    )
    problem = ", ".join(f"{name} is {part} ({number})" for (part, name), number in sorted(folders.items()))
    return Finding(file="parts", problem=problem, action="Parts that are named are kept.", severity=Severity.NOTE)


def _beside(place: Path, number: int) -> Finding:
    return Finding(
        file=plain_name(place),
        problem=f"pictures: {number}; its name says no part as those beside it do",
        action="Left out; to use them, name the folder train, valid or test, or put them into one of these.",
        severity=Severity.WARNING,
    )


def _contradiction(picture: Path, own: dict[str, Path]) -> Finding:
    listed = " and ".join(f"{plain_name(file)} ({part})" for part, file in own.items())
    return Finding(
        file=plain_name(picture),
        problem=f"stands in {listed}",
        action="Take it out of one of the lists: what is trained on cannot be tested on.",
    )


def _unlisted(pictures: Sequence[Path]) -> Finding:
    more = f" and {len(pictures) - 1} more stand" if len(pictures) > 1 else " stands"
    return Finding(
        file=plain_name(pictures[0]),
        problem=f"{more.strip()} in no list of a part",
        action="Left out; add the names to a list to use them.",
        severity=Severity.WARNING,
    )


def part_column(table: Table) -> int | None:
    """The column that says of which part each row is: `split`, `phase`, `is_valid`.

    Raises:
        BadFileError: several could be it.
    """
    found = columns_named(table.header, _PART_COLUMN)
    saying = [at for at in found if any(split_of(Path(row.cells[at])) for row in table.body)]
    flags = columns_named(table.header, _FLAG_COLUMN)
    return only_column(table, saying or flags or found, "the part")


def parts_of_rows(
    file: Path, table: Table, rows: Sequence[Row], column: int | None
) -> tuple[list[str | None], list[Finding]]:
    """The part that each row names, LEFT_OUT where others name training and it none; a finding where none names one."""
    if column is None:
        return [None] * len(rows), []
    name = table.header[column]
    flag = _FLAG_COLUMN.match(normalised(name))
    values = [row.cells[column] for row in rows]
    named = {
        value: _flagged(value, split_of(Path(flag["part"]))) if flag else split_of(Path(value)) for value in values
    }
    if not any(named.values()):
        problem = f"the column {name!r} names no part, but holds {', '.join([*named][:_MAX_NAMED])}"
        action = "Not used: the images are divided anew. Write train, valid and test into it to keep the parts."
        return [None] * len(rows), [
            Finding(file=plain_name(file), problem=problem, action=action, severity=Severity.WARNING)
        ]
    rest = LEFT_OUT if "train" in named.values() else None
    return [named[value] or rest for value in values], []


def _flagged(value: str, part: str | None) -> str | None:
    """Of `is_valid`: validation for a yes, training for a no; of `is_train` a no is test."""
    if value.lower() in _YES:
        return part
    return ("train" if part != "train" else "test") if value.lower() in _NO else None
