"""The split of each photograph, by its path or by the tables that grade it, and rows that two photographs share."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from trainable.data.fundus.grade_tables import GradeTable, split_in
from trainable.data.io.findings import Finding, note
from trainable.data.io.folder_layout import plain_name
from trainable.data.splitting.split_lists import describe_splits


def speaking(file: Path, tables: Sequence[GradeTable]) -> list[GradeTable]:
    """The tables that may speak of a photograph, and name it."""
    split = split_in(file)
    own = [table for table in tables if table.key(file) in table.grades and table.folder in (None, file.parent)]
    return [table for table in own if split is None or table.split in (None, split)]


def named_by_tables(files: Sequence[Path], tables: Sequence[GradeTable]) -> tuple[list[str | None], list[Finding]]:
    """The split of each photograph by its row, else its path; where no path names one, by `train.csv`, `test.csv`."""
    splits = [split_in(file) for file in files]
    if any(table.splits for table in tables):
        return _named_by_rows(files, tables, splits)
    if any(splits) or len({table.split for table in tables} - {None}) < 2:
        return splits, []
    of_tables = [[table for table in speaking(file, tables) if table.split] for file in files]
    findings = [
        Finding(
            file=plain_name(file),
            problem=f"is in {' and '.join(f'{plain_name(table.file)} ({table.split})' for table in own)}",
            action="Take it out of one of the tables: what is trained on cannot be tested on.",
        )
        for file, own in zip(files, of_tables, strict=True)
        if len({table.split for table in own}) > 1
    ]
    splits = [own[0].split if own else None for own in of_tables]
    return splits, [
        *findings,
        describe_splits([own[0].file.with_suffix("") if own else Path() for own in of_tables], splits),
    ]


def _named_by_rows(
    files: Sequence[Path], tables: Sequence[GradeTable], by_path: Sequence[str | None]
) -> tuple[list[str | None], list[Finding]]:
    """An error for a photograph in a folder of one split whose row says another; a list of test images stays one."""
    stated = [{table.splits.get(table.key(file)) for table in speaking(file, tables)} - {None} for file in files]
    splits = [next(iter(own), path) if len(own) < 2 else path for own, path in zip(stated, by_path, strict=True)]
    findings = []
    for file, own, path in zip(files, stated, by_path, strict=True):
        if len(own) > 1 or (path in ("validation", "test") and own and path not in own):
            said = " and ".join(sorted({*map(str, own), *([f"{path} by its folder"] if path else [])}))
            action = "Put the column of splits right, or move the photograph."
            findings.append(Finding(file=plain_name(file), problem=f"is of {said}", action=action))
    counts = Counter(split for split in splits if split)
    problem = ", ".join(f"{split} {number}" for split, number in sorted(counts.items())) + " by the rows of tables"
    return splits, [*findings, note("splits", problem, "Splits that are named are kept.")]


def sharing_a_row(files: Sequence[Path], tables: Sequence[GradeTable], digests: Mapping[Path, str]) -> list[Finding]:
    """An error for each photograph whose row speaks of another picture, too: masks or eyes of the same names."""
    first_of: dict[tuple[tuple[str, str], ...], Path] = {}
    findings = []
    for file in files:
        own = speaking(file, tables)
        row = tuple((table.key(file), table.file.as_posix()) for table in own)
        first = first_of.setdefault(row, file)
        if digests[file] != digests[first]:
            problem = f"has the name of {plain_name(first)}: one row of {plain_name(own[0].file)} speaks of both"
            action = "Give each photograph a name of its own, or take what is not a photograph out of the folder."
            findings.append(Finding(file=plain_name(file), problem=problem, action=action))
    return findings
