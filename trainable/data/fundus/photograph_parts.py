"""Which part each photograph is of, by its path or by the tables that grade it, and rows that two photographs share."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from trainable.data.fundus.grade_tables import GradeTable, part_in
from trainable.data.io.findings import Finding
from trainable.data.io.folder_layout import plain_name
from trainable.data.io.part_lists import describe_parts
from trainable.data.io.picture_names import picture_key


def speaking(file: Path, tables: Sequence[GradeTable]) -> list[GradeTable]:
    """The tables that may speak of a photograph, and name it."""
    part, key = part_in(file), picture_key(file.name)
    return [table for table in tables if key in table.grades and (part is None or table.part in (None, part))]


def named_by_tables(files: Sequence[Path], tables: Sequence[GradeTable]) -> tuple[list[str | None], list[Finding]]:
    """The part of each photograph by its path; where no path names one, by its table: `train.csv`, `test.csv`."""
    parts = [part_in(file) for file in files]
    if any(parts) or len({table.part for table in tables} - {None}) < 2:
        return parts, []
    of_tables = [[table for table in speaking(file, tables) if table.part] for file in files]
    findings = [
        Finding(
            file=plain_name(file),
            problem=f"stands in {' and '.join(f'{plain_name(table.file)} ({table.part})' for table in own)}",
            action="Take it out of one of the tables: what is trained on cannot be tested on.",
        )
        for file, own in zip(files, of_tables, strict=True)
        if len({table.part for table in own}) > 1
    ]
    parts = [own[0].part if own else None for own in of_tables]
    return parts, [
        *findings,
        describe_parts([own[0].file.with_suffix("") if own else Path() for own in of_tables], parts),
    ]


def sharing_a_row(files: Sequence[Path], tables: Sequence[GradeTable], digests: Mapping[Path, str]) -> list[Finding]:
    """An error for each photograph whose row speaks of another picture, too: masks or eyes of the same names."""
    first_of: dict[tuple[str, ...], Path] = {}
    findings = []
    for file in files:
        own = speaking(file, tables)
        row = (picture_key(file.name), *(table.file.as_posix() for table in own))
        first = first_of.setdefault(row, file)
        if digests[file] != digests[first]:
            problem = f"has the name of {plain_name(first)}: one row of {plain_name(own[0].file)} speaks of both"
            action = "Give each photograph a name of its own, or take what is no photograph out of the folder."
            findings.append(Finding(file=plain_name(file), problem=problem, action=action))
    return findings
