"""Splits that lists name: `train.txt`, `valid.txt` and `test.txt` with a picture a line, as VOC and CamVid have them.

A column of a table names them too, such as `split`.
"""

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from trainable.data.io.counted import counted, first_of
from trainable.data.io.findings import BadFileError, Finding, Severity, note
from trainable.data.io.folder_layout import files_below, plain_name
from trainable.data.io.table import Row, Table, columns_named, normalise_name, only_column
from trainable.data.splitting.picture_tables import named_in, names_of, tables_of_pictures
from trainable.data.splitting.split_names import share_a_split, split_of, split_of_all

LEFT_OUT = "left out"
"""The split of a picture whose folder or list says none, where one of them says training."""
LIST_ENDINGS = (".txt", ".lst")
_SPLIT_COLUMN = re.compile(r"^((data ?)?set|split|subset|part|partition|phase|usage|fold)$")
_FLAG_COLUMN = re.compile(r"^(is|in) (?P<split>train|training|val|valid|validation|test)$")
_YES, _NO = ("true", "1", "1.0", "yes"), ("false", "0", "0.0", "no")
_SPLIT_OF_NUMBERS, _NUMBERED_PICTURES = "train_test_split.txt", "images.txt"
_FOLDERS_OF_LISTS = ("meta", "splits", "lists", "ImageSets", "ImageSets/Main", "ImageSets/Segmentation")
_MAX_NAMED = 3
Listed = list[tuple[str | None, str]]
"""Pictures with their split; None for one that is not here."""


def named_splits(
    root: Path, pictures: Sequence[Path], described_in: Sequence[Sequence[Path]] = ()
) -> tuple[list[str | None], list[Finding]]:
    """The split of each picture by its folders, or by lists where no folder names one, and findings about it.

    Beside a folder of training, pictures whose folders name no split are left out.

    Args:
        described_in: of each picture all that says something of it, a mask's folder or files of annotations; where no
            picture's folder names a split, these do: `masks/train`, `instances_test.json`.
    """
    places = [[picture.parent] for picture in pictures]
    splits = [split_of_all(own) for own in places]
    if not any(splits):
        places = [list(own) for own in described_in]
        splits = [split_of_all(own) for own in places]
        # One split alone says what the file is for, not which pictures are kept apart.
        if len({*splits} - {None}) < 2:
            return listed_splits(root, pictures)
    naming = zip(places, splits, strict=True)
    findings = [describe_splits([_naming(own, split) for own, split in naming], splits)]
    findings += [
        _contradiction(picture, {split: place for place in own if (split := split_of(place))})
        for picture, own in zip(pictures, places, strict=True)
        if own and not share_a_split(*own)
    ]
    if "train" not in splits:
        return splits, findings
    beside = Counter(picture.parent for picture, split in zip(pictures, splits, strict=True) if split is None)
    return [split or LEFT_OUT for split in splits], findings + [_beside(*one) for one in beside.items()]


def _naming(places: Sequence[Path], split: str | None) -> Path:
    """Returns the first of these paths that names the split; an empty path if none does."""
    return next((place for place in places if split_of(place) == split), Path())


def listed_splits(root: Path, pictures: Sequence[Path]) -> tuple[list[str | None], list[Finding]]:
    """The split of each picture by the lists below the root, and how they were read; None where there is no list.

    A line is the name of a picture, with or without folders and ending; what follows it on the line is passed over.
    """
    known = {name for picture in pictures for name in names_of(picture)}
    splits_of: dict[str, dict[str, Path]] = {}
    findings: list[Finding] = []
    for file, listed in chain(_listed_in_texts(root, known, findings), _listed_in_tables(root, known, findings)):
        findings.append(_described(file, listed))
        for name, split in listed:
            if name is not None:
                splits_of.setdefault(name, {}).setdefault(split, file)
    if not splits_of:
        return [None] * len(pictures), findings + _lists_above(root, known)
    rest = LEFT_OUT if any("train" in own for own in splits_of.values()) else None
    found = [next((splits_of[name] for name in names_of(picture) if name in splits_of), {}) for picture in pictures]
    findings += [_contradiction(picture, own) for picture, own in zip(pictures, found, strict=True) if len(own) > 1]
    splits = [next(iter(own), rest) for own in found]
    unlisted = [picture for picture, split in zip(pictures, splits, strict=True) if split == LEFT_OUT]
    return splits, findings + ([_unlisted(unlisted)] if unlisted else [])


def _listed_in_texts(root: Path, known: set[str], findings: list[Finding]) -> Iterator[tuple[Path, Listed]]:
    """A text that is called as a split and names no picture may be a list of other names: a warning is added."""
    texts = [file for file in files_below(root) if file.suffix.lower() in LIST_ENDINGS]
    lists = [file for file in texts if split_of_list(file)]
    # VOC has lists for several tasks; those of segmentation name the pictures that have masks.
    segmentation = [file for file in lists if file.parent.name.lower() == "segmentation"]
    for file in segmentation or lists:
        listed = _listed(root / file, known)
        if any(name for name, _ in listed):
            yield file, listed
        elif listed and plain_name(file.stem) not in known:
            findings.append(_naming_nothing(root, file))


def _listed(file: Path, known: set[str]) -> Listed:
    """Reads a text named like a split; `train_test_split.txt` refers to the numbers of `images.txt` next to it.

    There 1 is training and 0 test, as in CUB-200 and NABirds.
    """
    split = split_of(Path(file.stem))
    numbers = file.with_name(_NUMBERED_PICTURES)
    if split is None or file.name.lower() != _SPLIT_OF_NUMBERS or not numbers.is_file():
        return [(named_in(line, known), split) for line in _lines(file)] if split else []
    pictures = dict(line.split(maxsplit=1) for line in _lines(numbers) if len(line.split()) > 1)
    flags = [line.split() for line in _lines(file)]
    return [
        (named_in(pictures.get(flag[0], ""), known), "train" if flag[1] == "1" else "test")
        for flag in flags
        if len(flag) == 2 and flag[1] in ("0", "1")
    ]


def _lists_above(root: Path, known: set[str]) -> list[Finding]:
    """A warning for lists beside the given folder that name its pictures: without them, test images are trained on."""
    above = root.absolute().parent
    try:
        places = [place for place in (above, *(above / name for name in _FOLDERS_OF_LISTS)) if place.is_dir()]
        texts = [file for place in places for file in sorted(place.iterdir()) if file.suffix.lower() in LIST_ENDINGS]
        listed = {file: _listed(file, known) for file in texts if file.is_file()}
    except OSError:
        return []  # What lies outside of the given folder may not be ours to open.
    # Numbers alone may name pictures of any set: most of a list are of this one.
    naming = [file for file, own in listed.items() if 2 * sum(name is not None for name, _ in own) > len(own)]
    if not naming:
        return []
    lists = first_of([plain_name(file.relative_to(above)) for file in naming], _MAX_NAMED)
    problem = f"not read, beside the given folder: {lists}, which name its pictures"
    action = f"To keep these splits, give the folder above: --data {shlex.quote(str(above))}."
    return [Finding(file="lists of splits", problem=problem, action=action, severity=Severity.WARNING)]


def _listed_in_tables(root: Path, known: set[str], findings: list[Finding]) -> Iterator[tuple[Path, Listed]]:
    """Tables with a column of pictures, and one of splits or paths that name them, or that are called as two splits at
    least; what is wrong with the column of splits is added to the findings."""
    called_so: list[tuple[Path, list[str]]] = []
    for file, table, pictures in tables_of_pictures(root, known):
        try:
            column = split_column(table)
        except BadFileError as error:
            findings.append(error.finding(plain_name(file)))
            continue
        splits, problems = splits_of_rows(file, table, table.body, column)
        findings += problems
        if column is None:
            # Folders written before the pictures, `test/a.png`; all the same may be the path of another machine.
            splits = [split_of(Path(picture.replace("\\", "/")).parent) for picture in pictures]
            splits = splits if len(set(splits)) > 1 else [None] * len(pictures)
            called_so += [(file, pictures)] if not any(splits) and split_of_list(file) else []
        if any(splits):
            names = [named_in(picture, known) for picture in pictures]
            yield (
                file,
                [(name, split) for name, split in zip(names, splits, strict=True) if split and split != LEFT_OUT],
            )

    # A single one tells its purpose, not which pictures are kept apart.
    if len({split_of_list(file) for file, _ in called_so}) > 1:
        for file, pictures in called_so:
            yield file, [(named_in(picture, known), str(split_of_list(file))) for picture in pictures]


def split_of_list(file: Path) -> str | None:
    """Split in the name of a list; None for names such as `trainval`."""
    return None if "trainval" in file.stem.lower() else split_of(Path(file.stem))


def _described(file: Path, listed: Listed) -> Finding:
    counts = Counter(split for name, split in listed if name is not None)
    num_absent = sum(name is None for name, _ in listed)
    read = ", ".join(f"{counted(number, 'picture')} of {split}" for split, number in sorted(counts.items()))
    return note(plain_name(file), f"names {read}, {num_absent} not here", "Read as a list of a split; nothing to do.")


def _naming_nothing(root: Path, file: Path) -> Finding:
    return Finding(
        file=plain_name(file),
        problem=f"is called as a split, but names no picture here: it begins with {_lines(root / file)[0][:60]!r}",
        action="Not used; if it lists pictures of a split, write their names into it, one a line.",
        severity=Severity.WARNING,
    )


def _lines(path: Path) -> list[str]:
    text = path.read_bytes().decode("utf-8-sig", "backslashreplace")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def describe_splits(places: Sequence[Path], splits: Sequence[str | None]) -> Finding:
    """Which split each folder, list or table was taken for, by the last name on its path that says one."""
    folders = Counter(
        (split, [plain_name(name) for name in place.parts if split_of(Path(name)) == split][-1])
        for place, split in zip(places, splits, strict=True)
        if split is not None
    )
    problem = ", ".join(f"{name} is {split} ({number})" for (split, name), number in sorted(folders.items()))
    return Finding(file="splits", problem=problem, action="Splits that are named are kept.", severity=Severity.NOTE)


def _beside(place: Path, number: int) -> Finding:
    return Finding(
        file=plain_name(place),
        problem=f"pictures: {number}; its name says no split as those beside it do",
        action="Left out; to use them, name the folder train, valid or test, or put them into one of these.",
        severity=Severity.WARNING,
    )


def _contradiction(picture: Path, own: dict[str, Path]) -> Finding:
    listed = " and ".join(f"{plain_name(file)} ({split})" for split, file in own.items())
    return Finding(
        file=plain_name(picture),
        problem=f"is in {listed}",
        action="Take it out of one of the lists: what is trained on cannot be tested on.",
    )


def _unlisted(pictures: Sequence[Path]) -> Finding:
    more = f" and {len(pictures) - 1} more are" if len(pictures) > 1 else " is"
    return Finding(
        file=plain_name(pictures[0]),
        problem=f"{more.strip()} in no list of a split",
        action="Left out; add the names to a list to use them.",
        severity=Severity.WARNING,
    )


def split_column(table: Table) -> int | None:
    """The column that says of which split each row is: `split`, `phase`, `is_valid`.

    Raises:
        BadFileError: several could be it.
    """
    found = columns_named(table.header, _SPLIT_COLUMN)
    saying = [at for at in found if any(split_of(Path(row.cells[at])) for row in table.body)]
    flags = columns_named(table.header, _FLAG_COLUMN)
    return only_column(table, saying or flags or found, "the split")


def splits_of_rows(
    file: Path, table: Table, rows: Sequence[Row], column: int | None
) -> tuple[list[str | None], list[Finding]]:
    """The split of each row, LEFT_OUT where others name training and it names none; a finding where none does."""
    if column is None:
        return [None] * len(rows), []
    name = table.header[column]
    flag = _FLAG_COLUMN.match(normalise_name(name))
    values = [row.cells[column] for row in rows]
    named = {
        value: _flagged(value, split_of(Path(flag["split"]))) if flag else split_of(Path(value)) for value in values
    }
    if not any(named.values()):
        problem = f"the column {name!r} names no split, but holds {', '.join([*named][:_MAX_NAMED])}"
        action = "Not used; write train, valid and test into it for it to name the splits."
        return [None] * len(rows), [
            Finding(file=plain_name(file), problem=problem, action=action, severity=Severity.WARNING)
        ]
    rest = LEFT_OUT if "train" in named.values() else None
    return [named[value] or rest for value in values], []


def _flagged(value: str, split: str | None) -> str | None:
    """Split by a flag: `is_valid` means validation or training, a no of `is_train` means test; None if unclear."""
    if value.lower() in _YES:
        return split
    return ("train" if split != "train" else "test") if value.lower() in _NO else None
