"""Which part each photograph is of, by its path or by the tables that grade it, and rows that two photographs share."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from trainable.data.fundus.grade_tables import GradeTable, part_in
from trainable.data.io.findings import Finding, note
from trainable.data.io.folder_layout import plain_name
from trainable.data.io.part_lists import describe_parts
from trainable.data.io.picture_names import picture_key


def speaking(file: Path, tables: Sequence[GradeTable]) -> list[GradeTable]:
    """The tables that may speak of a photograph, and name it."""
    part, key = part_in(file), picture_key(file.name)
    return [table for table in tables if key in table.grades and (part is None or table.part in (None, part))]


def named_by_tables(files: Sequence[Path], tables: Sequence[GradeTable]) -> tuple[list[str | None], list[Finding]]:
    """The part of each photograph by its row, else by its path; where no path names one, by `train.csv`, `test.csv`."""
    parts = [part_in(file) for file in files]
    if any(table.parts for table in tables):
        return _named_by_rows(files, tables, parts)
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


def _named_by_rows(
    files: Sequence[Path], tables: Sequence[GradeTable], by_path: Sequence[str | None]
) -> tuple[list[str | None], list[Finding]]:
    """An error for a photograph in a folder of one part whose row says another; a list of test images stays one."""
    stated = [{table.parts.get(picture_key(file.name)) for table in speaking(file, tables)} - {None} for file in files]
    parts = [next(iter(own), path) if len(own) < 2 else path for own, path in zip(stated, by_path, strict=True)]
    findings = []
    for file, own, path in zip(files, stated, by_path, strict=True):
        if len(own) > 1 or (path in ("validation", "test") and own and path not in own):
            said = " and ".join(sorted({*map(str, own), *([f"{path} by its folder"] if path else [])}))
            action = "Put the column of parts right, or move the photograph."
            findings.append(Finding(file=plain_name(file), problem=f"is of {said}", action=action))
    counts = Counter(part for part in parts if part)
    problem = ", ".join(f"{part} {number}" for part, number in sorted(counts.items())) + " by the rows of tables"
    return parts, [*findings, note("parts", problem, "Parts that are named are kept.")]


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
