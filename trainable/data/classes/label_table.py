"""Classes from a table beside a flat folder of images, as APTOS, EyePACS, ISIC and HAM10000 have them.

One row an image, with its label in one column, or a column of 0 and 1 for each class. A column of patients, lesions or
plants groups, a column `split` names splits.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from trainable.data.classes.class_names import twin_names
from trainable.data.classes.label_columns import CALL_IT_LABEL, LabelColumns, label_columns
from trainable.data.classes.layout import ClassImage, with_listed_splits
from trainable.data.io.counted import first_of
from trainable.data.io.findings import BadFileError, DataError, Finding, Severity
from trainable.data.io.folder_layout import files_below, is_image, plain_name, refuse_dead_links
from trainable.data.io.picture_names import PictureKeys, PictureNames, picture_key
from trainable.data.io.table import (
    SPREADSHEET_ENDINGS,
    TABLE_ENDINGS,
    Row,
    Table,
    check_scores,
    predicted,
    read_table,
    without_submissions,
)
from trainable.data.splitting.split_lists import LEFT_OUT, split_of_list, splits_of_rows
from trainable.data.splitting.split_names import share_a_split, split_of

_HOLDS_IMAGES = re.compile(r"images?|imgs?|photos?|photographs?|pictures?|input|data|jpe?g|png|tiff?", re.IGNORECASE)
_MAX_NAMED = 3
_LIST_ENDING = ".txt"
_NEARLY_ALL = 0.9
_HELD_OUT = ("validation", "test")
_MAX_CLASS_SHARE = 0.5
"""A column with more different values than this share of its rows holds no classes."""


def find_tabled_images(root: Path) -> tuple[list[ClassImage], list[Finding]] | None:
    """The images that tables label, and what was left out; None where folders say the classes, or no table does.

    Raises:
        DataError: a column is in doubt, an image has two classes, or the only table is a spreadsheet.
    """
    paths = files_below(root)
    refuse_dead_links(root, paths)
    pictures = [path for path in paths if is_image(path)]
    tables = [path for path in paths if path.suffix.lower() in (*TABLE_ENDINGS, _LIST_ENDING)]
    in_folders = len(_class_folders(pictures)) > 1
    if not pictures or (in_folders and not tables):
        return None
    if not tables:
        _refuse_spreadsheets(root, paths)
        return None
    tables, findings = without_submissions(tables)
    found, unread = _read_tables(root, tables, pictures, in_folders=in_folders)
    findings += unread
    if in_folders:
        if not _contradicts_folders(found, pictures):
            return None
        findings.append(_not_of_folders(pictures))
    findings += _check_classes(Counter(image.class_name for image in found.values()))
    if any(finding.severity is Severity.ERROR for finding in findings):
        raise DataError(f"{root} cannot be used.", findings)
    if not found:
        return None
    bare = [plain_name(picture) for picture in pictures if picture not in found]
    if bare:
        findings.append(_counted("images", bare, len(pictures), "have no class in a table", "They are left out."))
    images, listed = with_listed_splits(root, [found[picture] for picture in sorted(found, key=Path.as_posix)])
    # Whoever looks for a split reports a column that names none.
    return images, list(dict.fromkeys(findings + listed))


def _read_tables(
    root: Path, tables: Sequence[Path], pictures: Sequence[Path], *, in_folders: bool
) -> tuple[dict[Path, ClassImage], list[Finding]]:
    """The images that any of the tables labels; beside class folders, those alone that surely say classes."""
    names, keys = PictureNames(pictures), PictureKeys(picture_key(picture.name) for picture in pictures)
    found: dict[Path, ClassImage] = {}
    findings: list[Finding] = []
    doubtful: list[tuple[Finding, Table | None]] = []
    for file in tables:
        table = None
        try:
            table = read_table(root / file)
            columns = label_columns(table, keys)
        except BadFileError as error:
            # A text may be anything; beside class folders a table may describe something else.
            if not in_folders and file.suffix.lower() != _LIST_ENDING:
                doubtful.append((error.finding(plain_name(file)), table))
            continue
        if columns is not None and (columns.is_called_label(table) or not in_folders):
            findings += [predicted(file, what) for what in check_scores(table)]
            findings += _add(found, file, table, columns, names, keys)
    return found, findings + [_unless_described(*one, found, keys) for one in doubtful]


def _unless_described(
    finding: Finding, table: Table | None, found: Mapping[Path, ClassImage], keys: PictureKeys
) -> Finding:
    """Returns a warning instead of the error if other tables give the class of every image that this one names."""
    named = {keys.find(cell) for row in (table.rows if table else ()) for cell in row.cells} - {None}
    if not named or not named <= {picture_key(file.name) for file in found}:
        return finding
    return replace(finding, action="Not used: another table says the classes.", severity=Severity.WARNING)


def _contradicts_folders(found: Mapping[Path, ClassImage], pictures: Sequence[Path]) -> bool:
    """Whether tables label nearly all pictures, and otherwise than folders: `images/007/a.jpg` is of no class 007."""
    if len(found) < _NEARLY_ALL * len(pictures):
        return False
    labels = {(picture.parent.name, image.class_name) for picture, image in found.items()}
    is_one_to_one = len(labels) == len({folder for folder, _ in labels}) == len({label for _, label in labels})
    is_named = all(
        image.class_name.casefold() in map(str.casefold, picture.parent.parts) for picture, image in found.items()
    )
    return not is_one_to_one and not is_named


def _not_of_folders(pictures: Sequence[Path]) -> Finding:
    names = sorted({plain_name(picture.parent.name) for picture in pictures})
    return Finding(
        file="folders",
        problem=f"{first_of(names, _MAX_NAMED)} are not the classes that a table says",
        action="The table is read. If the folders are the classes, take the table out of the data.",
        severity=Severity.WARNING,
    )


def _refuse_spreadsheets(root: Path, paths: Sequence[Path]) -> None:
    """Raises DataError where the classes are likely to stand in a file that is not read."""
    sheets = [plain_name(path) for path in paths if path.suffix.lower() in SPREADSHEET_ENDINGS]
    if sheets:
        raise DataError(
            f"{root} has no class folders and no csv of classes, but a spreadsheet, {sheets[0]}, which is not read: "
            "save it as csv (Save as, CSV UTF-8), one row an image."
        )


def _class_folders(pictures: Sequence[Path]) -> set[Path]:
    """Folders of images whose name says neither a split nor that they hold images."""
    return {
        picture.parent
        for picture in pictures
        if any(not split_of(Path(name)) and not _HOLDS_IMAGES.search(name) for name in picture.parent.parts)
    }


def _add(
    found: dict[Path, ClassImage],
    file: Path,
    table: Table,
    columns: LabelColumns,
    names: PictureNames,
    keys: PictureKeys,
) -> list[Finding]:
    """Adds the images of one table, and says what was read and what left out."""
    rows = columns.rows(table)
    splits, findings = splits_of_rows(file, table, rows, columns.split)
    columns = columns if any(splits) else replace(columns, split=None)
    described, action = columns.described(table), "Read so; nothing to do."
    findings.append(Finding(file=plain_name(file), problem=described, action=action, severity=Severity.NOTE))
    left_out: dict[str, list[str]] = {}
    for row in table.uneven if columns.has_header else ():
        left_out.setdefault("have too few or too many cells", []).append(f"row {row.number}")
    for row, label, split in zip(rows, columns.labels(table), splits, strict=True):
        cell = row.cells[columns.image]
        key = keys.find(cell)
        called = names.find(cell if picture_key(cell) == key else key, file) if key else []
        pictures = [one for one in called if share_a_split(file.with_suffix(""), one.parent)]
        if len(pictures) != 1:
            absent = "name an image of another split" if called else "name an image that is not here"
            left_out.setdefault("name several images" if pictures else absent, []).append(cell)
        elif not label:
            left_out.setdefault("have no class, or several", []).append(f"row {row.number}")
        elif split == LEFT_OUT:
            left_out.setdefault("name no split as the others do", []).append(f"row {row.number}")
        else:
            own = _image(pictures[0], row, label, columns, split, file)
            first = found.setdefault(own.file, own)
            found[own.file] = replace(first, split=first.split or own.split, group=first.group or own.group)
            findings += _contradictions(own, first, split, file, row)
    findings += [_counted(plain_name(file), own, len(rows), why, "They are left out.") for why, own in left_out.items()]
    return findings


def _image(picture: Path, row: Row, label: str, columns: LabelColumns, split: str | None, table: Path) -> ClassImage:
    """Builds the image of a row; its split is the row's, else its folder's, else the table's, as in `valid.csv`."""
    group = "" if columns.group is None else row.cells[columns.group]
    return ClassImage(
        file=picture,
        class_name=label,
        split=split or split_of(picture.parent) or split_of_list(table),
        group=group or None,
    )


def _contradictions(own: ClassImage, first: ClassImage, stated: str | None, table: Path, row: Row) -> Iterator[Finding]:
    """An error where a row says another class or split than the first row of its image, or takes an image out of the
    folder of validation or test images.
    """
    file, begin = plain_name(table), f"row {row.number}: {own.file.name} is"
    folder = split_of(own.file.parent)
    if own.class_name != first.class_name:
        problem, action = f"{own.class_name} here, {first.class_name} above", "Remove the wrong one of the rows."
        yield Finding(file=file, problem=f"{begin} {problem}", action=action)
    if None not in (own.split, first.split) and own.split != first.split:
        action = "Take it out of one of the splits: what is trained on cannot be tested on."
        yield Finding(file=file, problem=f"{begin} of {own.split} here, of {first.split} above", action=action)
    elif stated is not None and folder in _HELD_OUT and stated != folder:
        action = "Put the column of splits right, or move the image."
        yield Finding(file=file, problem=f"{begin} of {stated} here, of {folder} by its folder", action=action)


def _check_classes(classes: Counter[str]) -> list[Finding]:
    """Errors for two names of one class, and for values that hardly repeat, which are no classes."""
    if twins := twin_names(sorted(classes)):
        problem = f"one class has two names, {twins[0]} and {twins[1]}"
        return [Finding(file="classes", problem=problem, action="Give it one name in every row.")]
    if len(classes) == 1:
        problem = f"there is one class alone, {next(iter(classes))}, on {classes.total()} images that can be used"
        return [
            Finding(file="classes", problem=problem, action="A classifier needs two or more: add images of another.")
        ]
    if len(classes) <= max(2, _MAX_CLASS_SHARE * classes.total()):
        return []
    some = ", ".join(list(classes)[:_MAX_NAMED])
    problem = f"{len(classes)} different values on {classes.total()} images are not classes: {some}"
    return [Finding(file="classes", problem=problem, action=CALL_IT_LABEL)]


def _counted(file: str, items: Sequence[str], total: int, what: str, action: str) -> Finding:
    problem = f"{len(items)} of {total} {what}: {first_of(items, _MAX_NAMED)}"
    return Finding(file=file, problem=problem, action=action, severity=Severity.WARNING)
