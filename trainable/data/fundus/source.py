"""The photographs of one folder, matched with the rows of its tables and hashed, none of them decoded."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Self

from trainable.data.classes.labelled_images import MISSING
from trainable.data.fundus.grade_tables import Grades, GradeTable, read_grade_tables, split_in
from trainable.data.fundus.grades import TASK_NAMES
from trainable.data.fundus.photograph_splits import named_by_tables, sharing_a_row, speaking
from trainable.data.io.counted import first_of
from trainable.data.io.decoding import MIN_SIDE_PX
from trainable.data.io.files import content_digests
from trainable.data.io.findings import DataError, Finding, Severity, errors_among
from trainable.data.io.folder_layout import files_below, is_image, plain_name, refuse_dead_links, require_folder
from trainable.data.io.picture_names import PictureKeys, picture_key
from trainable.data.io.splits import DIVISION_VERSION, DivisionOptions, group_ids
from trainable.data.io.unread import unread_pictures, what_to_unpack
from trainable.data.splitting.copies import source_files
from trainable.data.splitting.group_tables import stated_groups
from trainable.data.splitting.split_lists import LEFT_OUT, listed_splits, named_splits
from trainable.data.splitting.split_names import split_of

_CROP_VERSION = 1
_MAX_NAMED = 5
_EYE = re.compile(r"[-_ ][lr]$|(^|[-_ ])(left|right|od|os)(?=[-_ ]|$)", re.IGNORECASE)
"""The mark of an eye: a letter at the end alone, a word anywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FundusFolderOptions(DivisionOptions):
    """How a folder is read; all of it is part of the cache's key."""

    image_size_px: int
    """Side of the square images in the cache, from 16."""

    def __post_init__(self) -> None:
        if self.image_size_px < MIN_SIDE_PX:
            raise ValueError(f"image_size_px is {self.image_size_px}, but must be at least {MIN_SIDE_PX}.")
        self.check_division()


@dataclass(frozen=True, slots=True, kw_only=True)
class FundusSource:
    """Photographs that have a row, and the tables."""

    root: Path
    files: list[Path]
    labels: list[Grades]
    groups: list[str]
    splits: list[str | None]
    """Those that paths or tables name: train, validation, test; None when nothing does."""
    tables: list[GradeTable]
    findings: list[Finding]
    digests: dict[Path, str]
    tasks: tuple[int, ...]
    """Indices of those that some photograph has a grade of."""
    options: FundusFolderOptions

    @classmethod
    def find(cls, root: Path, options: FundusFolderOptions, cache_dir: Path) -> Self:
        require_folder(root, "fundus photographs and a csv table of their grades")
        paths = files_below(root)
        refuse_dead_links(root, paths)
        photographs = [path for path in paths if is_image(path)]
        keys = PictureKeys(picture_key(file.name) for file in photographs)
        tables, findings = read_grade_tables(root, paths, keys)
        findings += unread_pictures(paths)
        if any(split_of(file.parent) for file in photographs):
            splits, notes = named_splits(root, photographs)
            findings += notes
            photographs = [file for file, split in zip(photographs, splits, strict=True) if split != LEFT_OUT]
        found = [
            (file, _agreed([table.grades[table.key(file)] for table in speaking(file, tables)])) for file in photographs
        ]
        _require_match(root, found, tables, findings)
        findings += _unmatched(found, tables) + _ungraded(found)
        graded = [(file, rows[0]) for file, rows in found if len(rows) == 1 and {*rows[0]} != {MISSING}]
        splits, about_splits = named_by_tables([file for file, _ in graded], tables)
        if not any(splits):
            splits, about_splits = listed_splits(root, [file for file, _ in graded])
        kept = [(*one, split) for one, split in zip(graded, splits, strict=True) if split != LEFT_OUT]
        files, labels, splits = [list(column) for column in zip(*kept, strict=True)] if kept else ([], [], [])
        digests = content_digests(root, files, cache_dir)
        names, about_patients = [plain_name(file.stem) for file in files], list[Finding]()
        if options.group_pattern is None:
            names, about_patients = _patients(root, files, splits, tables)
        findings += about_splits + about_patients + sharing_a_row(files, tables, digests)
        tasks = tuple(task for task in range(len(TASK_NAMES)) if any(own[task] != MISSING for own in labels))
        return cls(
            root=root,
            files=files,
            labels=labels,
            groups=group_ids(names, [digests[file] for file in files], options.group_pattern),
            splits=splits,
            tables=tables,
            findings=findings + _untrained_tasks(tasks),
            digests=digests,
            tasks=tasks,
            options=options,
        )

    def key(self) -> str:
        """Key of the cache. It covers findings, so that a folder with errors never finds the cache of its good part."""
        rows = zip(self.files, self.groups, self.splits, strict=True)
        photographs = [(file, self.digests[file], group, split) for file, group, split in rows]
        tables = [(table.file, table.grades, table.splits) for table in self.tables]
        findings = [asdict(finding) for finding in self.findings]
        everything = json.dumps(
            [_CROP_VERSION, DIVISION_VERSION, photographs, tables, asdict(self.options), findings],
            default=Path.as_posix,
        )
        return "fundus-folder-" + hashlib.sha256(everything.encode()).hexdigest()[:24]


def patient_of(name: str) -> str:
    """A photograph's name without the mark of its eye, if it has one."""
    return _EYE.sub("", name).lstrip("-_ ")


def _patients(
    root: Path, files: Sequence[Path], splits: Sequence[str | None], tables: Sequence[GradeTable]
) -> tuple[list[str], list[Finding]]:
    """Patient of each photograph: by the tables of grades, else by another table, else by its name."""
    sources, findings = source_files(files), list[Finding]()
    names = [_patient(file, source, tables) for file, source in zip(files, sources, strict=True)]
    if not any(table.patients for table in tables):
        stated, findings = stated_groups(root, sources, splits)
        names = [f"group {group}" if group else name for group, name in zip(stated, names, strict=True)]
    return names, findings


def _patient(file: Path, source: Path, tables: Sequence[GradeTable]) -> str:
    """Patient by the table, else by the name of the original; equal names in two folders are different patients."""
    own = speaking(file, tables)
    stated = [table.patients[table.key(file)] for table in own if table.key(file) in table.patients]
    if not stated and any(table.by_folder for table in own):
        return plain_name(source.parent)
    # Where folders are grades, the eyes of a patient may lie in two of them.
    folder = source.parent.parent if any(table.folder for table in own) else source.parent
    return f"patient {stated[0]}" if stated else plain_name(folder / patient_of(source.stem))


def _agreed(rows: Sequence[Grades]) -> list[Grades]:
    """Merges the rows of a photograph, if no two differ in a grade: a table may hold one of the grades alone."""
    stated = [set(column) - {MISSING} for column in zip(*rows, strict=True)]
    if not rows or any(len(grades) > 1 for grades in stated):
        return list(dict.fromkeys(rows))
    return [tuple(next(iter(grades), MISSING) for grades in stated)]


def _untrained_tasks(tasks: Sequence[int]) -> list[Finding]:
    """A warning for each task without grades, which is not trained; errors if no task has any."""
    graded = " and ".join(TASK_NAMES[task] for task in tasks)
    return [
        Finding(
            file="grades",
            problem=f"no photograph has a grade of {name}",
            action=f"Only {graded} is trained and measured." if graded else "Add photographs that have grades.",
            severity=Severity.WARNING if graded else Severity.ERROR,
        )
        for task, name in enumerate(TASK_NAMES)
        if task not in tasks
    ]


def _require_match(
    root: Path, found: Sequence[tuple[Path, list[Grades]]], tables: Sequence[GradeTable], findings: Sequence[Finding]
) -> None:
    """Raises DataError, in one sentence, where no photograph has a row."""
    if any(rows for _, rows in found):
        return
    if not found:
        unpack = what_to_unpack(files_below(root))
        raise DataError(f"No photograph is in {root}, only tables: {tables[0].file.as_posix()}.{unpack}", findings)
    table = tables[0]
    example = next(iter(table.grades), None)
    if example is None and errors_among(findings):
        raise DataError(f"No row of {table.file.as_posix()} in {root} has a grade that can be read.", findings)
    names = "names no image" if example is None else f"names {example!r}"
    raise DataError(
        f"Not one of {len(found)} photographs in {root} has a row in a table of its split: "
        f"{table.file.as_posix()} {names}, a photograph is {found[0][0].as_posix()}. "
        "Names are compared without folder, ending, case and leading zeros.",
        findings,
    )


def _ungraded(found: Sequence[tuple[Path, list[Grades]]]) -> list[Finding]:
    """Warning that counts the photographs whose rows hold no grade."""
    files = [plain_name(file) for file, rows in found if rows and {*chain(*rows)} == {MISSING}]
    if not files:
        return []
    problem = f"{len(files)} of {len(found)} have rows without a grade: {first_of(files, _MAX_NAMED)}"
    action = "They are left out; give them a grade to use them."
    return [Finding(file="photographs", problem=problem, action=action, severity=Severity.WARNING)]


def _unmatched(found: Sequence[tuple[Path, list[Grades]]], tables: Sequence[GradeTable]) -> list[Finding]:
    """Photographs without a row or with several are left out; rows without a photograph are counted."""
    findings = [
        Finding(
            file=file.as_posix(),
            problem="has no row in a table of its split" if not rows else "has other grades in another table",
            action="It is left out; add its row."
            if not rows
            else "Remove the wrong one of the rows, or put it into the folder of a split.",
            severity=Severity.WARNING if not rows else Severity.ERROR,
        )
        for file, rows in found
        if len(rows) != 1
    ]
    for table in tables:
        here = {
            table.key(file)
            for file, _ in found
            if None in (table.split, split_in(file)) or split_in(file) == table.split
        }
        missing = len(table.grades.keys() - here)
        if missing:
            problem = f"{missing} of {len(table.grades)} rows have no photograph here"
            action = "They count for the class weights alone; nothing to do."
            findings.append(Finding(file=table.file.as_posix(), problem=problem, action=action, severity=Severity.NOTE))
    return findings
