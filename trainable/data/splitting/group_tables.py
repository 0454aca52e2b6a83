"""Groups that a table states beside masks or annotations: a column such as `patient` or `tile` in any table that names
pictures. All pictures of a group are in one split.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from trainable.data.io.counted import counted
from trainable.data.io.findings import BadFileError, Finding, Severity, note
from trainable.data.io.folder_layout import plain_name
from trainable.data.io.table import PATIENT_COLUMN, columns_named, only_column
from trainable.data.splitting.picture_tables import PictureTable, named_in, names_of, tables_of_pictures

_GROUP_COLUMNS = (
    PATIENT_COLUMN,
    re.compile(r"^(tile|plot|site|scene|sequence|video)( (id|no|nr|number|name))?$"),
)
"""Not `tree` or `object`: a row of annotations is one of these, and its picture has several."""
_LEAST_GROUPS = 3
"""Least number of groups, one for each split."""


def stated_groups(
    root: Path, pictures: Sequence[Path], splits: Sequence[str | None]
) -> tuple[list[str | None], list[Finding]]:
    """The group of each picture, None where no table states one, and how the tables were read.

    Args:
        splits: of each picture, where a folder or a list names one. Groups count among the pictures that are dealt to
            splits; a published test split stays as it is.
    """
    if {"validation", "test"} <= {*splits}:
        # Nothing is left to deal.
        return [None] * len(pictures), []
    known = {name for picture in pictures for name in names_of(picture)}
    group_of: dict[str, str] = {}
    findings: list[Finding] = []
    for table in tables_of_pictures(root, known):
        try:
            column = _group_column(table)
        except BadFileError as error:
            findings.append(replace(error.finding(plain_name(table.file)), severity=Severity.WARNING))
            continue
        if column is not None:
            stated, about = _stated_in(table, column, known)
            group_of |= stated
            findings.append(about)
    found = [next((group_of[name] for name in names_of(picture) if name in group_of), None) for picture in pictures]
    groups = [own if split in (None, "train") else None for own, split in zip(found, splits, strict=True)]
    return groups, findings


def _group_column(table: PictureTable) -> int | None:
    header = table.table.header
    found = next((found for pattern in _GROUP_COLUMNS if (found := columns_named(header, pattern))), [])
    return only_column(table.table, found, "the group")


def _stated_in(table: PictureTable, column: int, known: set[str]) -> tuple[Mapping[str, str], Finding]:
    """Maps a picture's name to its group; empty, with a warning, if a picture is in two or there are too few groups."""
    file, name = plain_name(table.file), repr(table.table.header[column])
    group_of: dict[str, str] = {}
    for row, picture in zip(table.table.body, table.pictures, strict=True):
        group, own = row.cells[column], named_in(picture, known)
        if own and group and group_of.setdefault(own, group) != group:
            action = "Not used; for pictures that belong together give --set group_pattern."
            problem = f"names two groups in {name} for one picture, {own}: {group_of[own]} and {group}"
            return {}, Finding(file=file, problem=problem, action=action, severity=Severity.WARNING)
    num_groups = len({*group_of.values()})
    if num_groups < _LEAST_GROUPS:
        problem = f"has {counted(num_groups, 'group')} in {name}, and there are three splits"
        return {}, Finding(file=file, problem=problem, action="Not used.", severity=Severity.WARNING)
    problem = f"names {counted(num_groups, 'group')} of {counted(len(group_of), 'picture')} in {name}"
    return group_of, note(file, problem, "All pictures of a group are in one split.")
