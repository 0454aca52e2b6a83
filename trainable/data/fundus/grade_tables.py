"""Grades from tables, as hospitals and challenges publish them, or from the names of folders.

A table has one row an image and a column for each grade, whatever their exact names (grade_columns.py). A table whose
name or folder says train, val or test speaks of the images of such a folder alone, for their names may be the same in
both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from trainable.data.classes.class_folders import without_masks
from trainable.data.classes.labelled_images import MISSING
from trainable.data.fundus.grade_columns import GradeColumns, grade_columns
from trainable.data.fundus.grade_words import grade_in_words, number_of
from trainable.data.fundus.grades import CLASS_NAMES, TASK_NAMES
from trainable.data.io.counted import first_of
from trainable.data.io.findings import BadFileError, DataError, Finding, Severity, errors_among, note
from trainable.data.io.folder_layout import is_image, plain_name
from trainable.data.io.picture_names import PictureKeys, picture_key
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
from trainable.data.io.unread import what_to_unpack
from trainable.data.splitting.split_lists import splits_of_rows
from trainable.data.splitting.split_names import split_of

Grades = tuple[int, ...]
"""One label for each task, -1 where there is none."""
_LIST_ENDING = ".txt"
_MISSING_CELLS = ("", "nan", "na", "n/a", "none", "null")
_MAX_NAMED = 5
_ONE_NAME = "Remove the wrong one, or give each photograph a name of its own: rows match by names without folders."


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeTable:
    """One table."""

    file: Path
    """Below the data folder."""
    split: str | None
    """The split that its path names: train, validation, test; None when none does."""
    grades: dict[str, Grades]
    """By the image's name without folder and ending."""
    patients: dict[str, str] = field(default_factory=dict)
    """By the same name, where the table says it."""
    splits: dict[str, str] = field(default_factory=dict)
    """By the same name, where a column of the table says it; LEFT_OUT where its value is not a split."""
    folder: Path | None = None
    """Below the data folder, where its name stands for a table of the photographs in it, and of no others."""
    by_folder: bool = False
    """Names hold the photograph's folder, `patient_001/left`, since those of several folders are the same."""

    def key(self, file: Path) -> str:
        """Name of a photograph in the table."""
        name = picture_key(file.name)
        return f"{plain_name(file.parent.name)}/{name}" if self.by_folder else name


def split_in(path: Path) -> str | None:
    """The split that a path below the data folder speaks of, by a folder or by the file's name."""
    return split_of(path.with_suffix(""))


def read_grade_tables(
    root: Path, files: Sequence[Path], photographs: PictureKeys
) -> tuple[list[GradeTable], list[Finding]]:
    """Every table of grades among the files below the root, and what is wrong in them.

    Raises:
        DataError: there is none.
    """
    tables: list[GradeTable] = []
    others: list[str] = []
    bare: list[GradeTable] = []
    files, findings = without_submissions(files)
    by_folder = GradeTable(file=Path(), split=None, grades={}, by_folder=True)
    folders = {key.casefold(): key for key in (by_folder.key(file) for file in files if is_image(file))}
    for file in files:
        ending = file.suffix.lower()
        if ending in SPREADSHEET_ENDINGS:
            others.append(f"{file.as_posix()} (a spreadsheet: save it as csv)")
        elif ending in (*TABLE_ENDINGS, _LIST_ENDING):
            table = None
            try:
                table = read_table(root / file)
                columns = grade_columns(table, photographs)
            except BadFileError as error:
                # A text may be anything; one that is a table of photographs may not be passed over.
                if ending != _LIST_ENDING or table is not None:
                    findings.append(error.finding(file.as_posix()))
                continue
            if columns is not None:
                findings += [predicted(file, what) for what in check_scores(table)]
                read, problems = _read_grades(file, table, columns, photographs, folders)
                tables.append(read)
                bare += [] if columns.has_header else [read]
                findings += problems
            elif ending != _LIST_ENDING:
                others.append(f"{file.as_posix()} ({', '.join(filter(None, table.header[:_MAX_NAMED])) or 'empty'})")
    if not (tables := tables or _graded_folders(files, findings)):
        raise DataError(
            f"No table of grades in {root}: expected a csv file with a column of image names and one of retinopathy or "
            f"edema grades, or all photographs in folders named 0 to 4; tables there: {', '.join(others) or 'none'}."
            + what_to_unpack(files),
            findings,
        )
    return tables, findings + _of_either_task(bare)


def _of_either_task(bare: Sequence[GradeTable]) -> list[Finding]:
    """A warning for tables without a header whose grades all could be those of another task, of fewer grades."""
    task, fewest = TASK_NAMES.index("retinopathy"), min(map(len, CLASS_NAMES))
    if any(grades[task] >= fewest for table in bare for grades in table.grades.values()):
        return []
    problem = f"has no header, and no grade above {fewest - 1}: it may be of retinopathy or of edema"
    action = "Read as retinopathy; if it is edema, put a line above it that names the columns: image,edema."
    return [
        Finding(file=table.file.as_posix(), problem=problem, action=action, severity=Severity.WARNING) for table in bare
    ]


def _graded_folders(files: Sequence[Path], findings: list[Finding]) -> list[GradeTable]:
    """A table for each folder that names a grade of retinopathy, `2` or `Moderate`, if all photographs lie in such.

    None where the findings hold an error of a table; how it was read is added to them.
    """
    photographs, _ = without_masks([file for file in files if is_image(file)])
    task = TASK_NAMES.index("retinopathy")
    tables: dict[Path, GradeTable] = {}
    for file in photographs:
        grade = number_of(file.parent.name.lower(), TASK_NAMES[task])
        if grade not in range(len(CLASS_NAMES[task])) or errors_among(findings):
            return []
        own = GradeTable(file=file.parent, split=split_of(file.parent), grades={}, folder=file.parent)
        labels = tuple(int(grade) if index == task else MISSING for index in range(len(TASK_NAMES)))
        tables.setdefault(file.parent, own).grades[picture_key(file.name)] = labels
    counts = [f"{plain_name(table.file)} ({len(table.grades)})" for table in tables.values()]
    problem, action = (
        f"name grades: {first_of(counts, _MAX_NAMED)}",
        "Read as grades of retinopathy; no table says any.",
    )
    findings += [note("folders", problem, action)] if tables else []
    return list(tables.values())


def _names_with_folders(rows: Sequence[Row], columns: GradeColumns, folders: Mapping[str, str]) -> list[str] | None:
    """`patient_001/left` of each row, by its cell or patient, where names alone repeat and such photographs are here.

    Args:
        folders: that name of each photograph, by the same in small letters.
    """
    names = [picture_key(row.cells[columns.image]) for row in rows]
    if len(set(names)) == len(names):
        return None
    written = []
    for row, name in zip(rows, names, strict=True):
        above = row.cells[columns.image].replace("\\", "/").rpartition("/")[0].rpartition("/")[2]
        patient = "" if columns.patient is None else row.cells[columns.patient]
        written.append(f"{above or patient}/{name}")
    keys = [folders.get(name.casefold(), name) for name in written]
    return keys if any(name.casefold() in folders for name in written) else None


def _read_grades(
    file: Path, table: Table, columns: GradeColumns, photographs: PictureKeys, folders: Mapping[str, str]
) -> tuple[GradeTable, list[Finding]]:
    rows = columns.rows(table)
    keys = _names_with_folders(rows, columns, folders)
    found = GradeTable(file=file, split=split_in(file), grades={}, by_folder=keys is not None)
    splits, findings = splits_of_rows(file, table, rows, columns.split)
    columns = columns if any(splits) else replace(columns, split=None)
    findings.append(note(file.as_posix(), columns.described(table), "Read so; nothing to do."))
    if keys:
        problem = f"photographs of several folders have one name: rows are matched with their folder, as {keys[0]}"
        findings.append(note(file.as_posix(), problem, "Read so; nothing to do."))
    otherwise = []
    for number, (row, split) in enumerate(zip(rows, splits, strict=True)):
        written = picture_key(row.cells[columns.image])
        image = keys[number] if keys else photographs.find(written) or written
        if image != written and not keys:
            otherwise.append(f"{written} as {image}")
        findings += _add(found, row, image, columns)
        if split is not None and (before := found.splits.setdefault(image, split)) != split:
            problem = f"row {row.number}: {image} is of {split} here, of {before} in a row above"
            action = "Remove the wrong one of the rows."
            findings.append(Finding(file=file.as_posix(), problem=problem, action=action))
    if otherwise:
        problem = (
            f"{len(otherwise)} of {len(found.grades)} names differ in zeros or case: {first_of(otherwise, _MAX_NAMED)}"
        )
        findings.append(note(file.as_posix(), problem, "Read as the photographs that are here; nothing to do."))
    return found, findings + _uneven(file, table) + _ungraded(file, found.grades) + _yes_or_no(file, found.grades)


def _add(found: GradeTable, row: Row, image: str, columns: GradeColumns) -> list[Finding]:
    """Adds a row; returns what is wrong with it, in which case it is left out."""
    file = found.file.as_posix()
    if not image:
        problem, action = f"row {row.number} names no image", "It is left out; name its image."
        return [Finding(file=file, problem=problem, action=action, severity=Severity.WARNING)]
    try:
        labels = tuple(_label(row, at, task) for task, at in enumerate(columns.grades))
    except ValueError as error:
        action = "Put the grade right, or leave the cell empty."
        return [Finding(file=file, problem=f"row {row.number} ({image}): {error}", action=action)]
    patient = "" if columns.patient is None else row.cells[columns.patient]
    if patient and found.patients.setdefault(image, patient) != patient:
        problem = f"row {row.number}: {image} is of patient {patient} here, of {found.patients[image]} in a row above"
        action = "Remove the wrong one of the rows; photographs of one name lie in folders named as their patients."
        return [Finding(file=file, problem=problem, action=action)]
    if found.grades.setdefault(image, labels) != labels:
        cell = row.cells[columns.image]
        problem = f"row {row.number}: {cell} has other grades in a row above"
        action = _ONE_NAME if "/" in cell.replace("\\", "/") else "Remove the wrong one of the rows."
        return [Finding(file=file, problem=problem, action=action)]
    return []


def _uneven(file: Path, table: Table) -> list[Finding]:
    rows = [f"row {row.number} ({', '.join(row.cells)[:30]})" for row in table.uneven]
    if not rows:
        return []
    problem = f"{len(rows)} of {len(table.rows) - 1} rows have too few or too many cells: {first_of(rows, _MAX_NAMED)}"
    action = "They are left out; give them as many cells as the header has."
    return [Finding(file=file.as_posix(), problem=problem, action=action, severity=Severity.WARNING)]


def _ungraded(file: Path, grades: dict[str, Grades]) -> list[Finding]:
    """A note that counts rows without one of the grades; a grade that no row has is reported elsewhere."""
    graded = [labels for labels in grades.values() if {*labels} != {MISSING}]
    return [
        note(
            file.as_posix(),
            f"{missing} of {len(grades)} images have no grade of {task}",
            "They are learned from for the other grade alone; nothing to do.",
        )
        for index, task in enumerate(TASK_NAMES)
        if 0 < (missing := sum(labels[index] == MISSING for labels in graded)) < len(graded)
    ]


def _yes_or_no(file: Path, grades: dict[str, Grades]) -> list[Finding]:
    """A note on a column of 0 and 1, which may say whether there is a disease, and not its grade."""
    return [
        note(
            file.as_posix(),
            f"{task} is 0 or 1 in every row",
            "Read as the first two grades; check that 0 and 1 are grades, and not no and yes.",
        )
        for index, task in enumerate(TASK_NAMES)
        if {labels[index] for labels in grades.values()} - {MISSING} == {0, 1}
    ]


def _label(row: Row, column: int | None, task: int) -> int:
    """Raises ValueError for what is not a grade of the task."""
    name, last = TASK_NAMES[task], len(CLASS_NAMES[task]) - 1
    cell = "" if column is None else row.cells[column]
    if cell.lower() in _MISSING_CELLS:
        return MISSING
    value = number_of(cell.lower(), name)
    if value not in range(last + 1):
        words = ", or its name such as Mild" if grade_in_words("mild", name) else ""
        raise ValueError(f"the grade of {name} is {cell!r}, but must be a whole number from 0 to {last}{words}")
    return int(value)
