"""Grades from csv tables, as hospitals and challenges publish them.

A table has one row an image and a column for each grade, whatever their exact names: the IDRiD tables call one
`Risk of macular edema `, with a space at its end, and have nine columns without a name. A table whose name or folder
says train, val or test speaks of the images of such a folder alone, for their names may be the same in both.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainable.data.classes.labelled_images import MISSING
from trainable.data.fundus.grades import CLASS_NAMES, TASK_NAMES
from trainable.data.io.findings import DataError, Finding, Severity
from trainable.data.io.folder_layout import IMAGE_ENDINGS

Grades = tuple[int, ...]
"""One label for each task, -1 where there is none."""
_IMAGE_COLUMN = re.compile(r"\bimage\b|^id\b|^name$")
_GRADE_COLUMNS = dict(
    zip(TASK_NAMES, (re.compile(r"retinopathy|\bdr\b|^diagnosis$"), re.compile(r"edema|oedema|\bdme\b")), strict=True)
)
_PART_IN_NAME = re.compile(r"(?<![a-z])(train|val|test)(?:ing|idation)?(?![a-z])", re.IGNORECASE)
_PARTS = {"train": "train", "val": "validation", "test": "test"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeTable:
    """One csv file."""

    file: Path
    """Below the data folder."""
    part: str | None
    """The part that its path names: train, validation, test; None when none does."""
    grades: dict[str, Grades]
    """By the image's name without folder and ending."""


def part_in(path: Path) -> str | None:
    """The part that a path below the data folder speaks of, at the start of any word in it."""
    matches = (_PART_IN_NAME.search(name) for name in path.parts)
    return next((_PARTS[match[1].lower()] for match in matches if match), None)


def read_grade_tables(root: Path) -> tuple[list[GradeTable], list[Finding]]:
    """Every table of grades in a folder, and what is wrong in them.

    Raises:
        DataError: there is none.
    """
    tables, findings, others = [], [], []
    for path in sorted(root.rglob("*.csv")):
        rows = _rows(path)
        columns = _columns(rows[0]) if rows else {}
        if "image" in columns and len(columns) > 1:
            table, problems = _table(path.relative_to(root), rows, columns)
            tables.append(table)
            findings += problems
        else:
            others.append(path.relative_to(root).as_posix())
    if not tables:
        raise DataError(
            f"No table of grades in {root}: expected a csv file with a column of image names and one of retinopathy or "
            f"edema grades; csv files there: {', '.join(others) or 'none'}."
        )
    return tables, findings


def _rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return [row for row in csv.reader(file) if any(cell.strip() for cell in row)]


def _columns(header: Sequence[str]) -> dict[str, int]:
    """Where each known column stands; names are compared without case, underscores and outer spaces."""
    names = [" ".join(name.lower().replace("_", " ").split()) for name in header]
    patterns = {"image": _IMAGE_COLUMN, **_GRADE_COLUMNS}
    found = {
        column: [i for i, name in enumerate(names) if pattern.search(name)] for column, pattern in patterns.items()
    }
    return {column: places[0] for column, places in found.items() if places}


def _table(file: Path, rows: list[list[str]], columns: dict[str, int]) -> tuple[GradeTable, list[Finding]]:
    grades: dict[str, Grades] = {}
    findings = []
    for number, row in enumerate(rows[1:], start=2):
        image = _stem(row[columns["image"]])
        try:
            labels = tuple(_label(row, columns, task) for task in range(len(TASK_NAMES)))
        except ValueError as error:
            action = "Put the grade right, or leave the cell empty."
            findings.append(Finding(file=file.as_posix(), problem=f"row {number} ({image}): {error}", action=action))
            continue
        if grades.setdefault(image, labels) != labels:
            problem = f"row {number}: {image} has other grades in a row above"
            findings.append(Finding(file=file.as_posix(), problem=problem, action="Remove the wrong one of the rows."))
    return GradeTable(file=file, part=part_in(file), grades=grades), findings + _ungraded(file, grades)


def _ungraded(file: Path, grades: dict[str, Grades]) -> list[Finding]:
    """Rows and columns without grades are legal, and worth knowing."""
    return [
        Finding(
            file=file.as_posix(),
            problem=f"{missing} of {len(grades)} images have no grade of {task}",
            action="They are learned from for the other grade alone; nothing to do.",
            severity=Severity.NOTE,
        )
        for index, task in enumerate(TASK_NAMES)
        if (missing := sum(labels[index] == MISSING for labels in grades.values()))
    ]


def _label(row: Sequence[str], columns: dict[str, int], task: int) -> int:
    """Raises ValueError for what is no grade of the task."""
    name, last = TASK_NAMES[task], len(CLASS_NAMES[task]) - 1
    cell = row[columns[name]].strip() if name in columns and columns[name] < len(row) else ""
    if not cell:
        return MISSING
    try:
        value = float(cell)
    except ValueError:
        value = -1.0
    if value not in range(last + 1):
        raise ValueError(f"the grade of {name} is {cell!r}, but must be a whole number from 0 to {last}")
    return int(value)


def _stem(cell: str) -> str:
    name = cell.strip()
    return Path(name).stem if name.lower().endswith(IMAGE_ENDINGS) else name
