"""A folder of fundus photographs with tables of their grades, checked, split and cached.

Photographs lie anywhere below the folder, in IDRiD's layout (`1. Original Images/a. Training Set/*.jpg`) or another;
tables as grade_tables.py reads them. Official splits are kept: a training folder is divided into training and
validation by patient, a testing folder stays untouched. Most rows of a table may have no photograph.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from trainable.data.classes.labelled_images import MISSING, LabelledSample, open_labelled, write_labelled
from trainable.data.fundus.crop import RETINA_SHARE, crop_to_retina
from trainable.data.fundus.grade_tables import split_in
from trainable.data.fundus.grades import CLASS_NAMES, TASK_NAMES, GradedSplits
from trainable.data.fundus.source import FundusFolderOptions, FundusSource
from trainable.data.io.counted import counted
from trainable.data.io.decoding import num_pixels, read_upright
from trainable.data.io.files import Ticker
from trainable.data.io.findings import BadFileError, Finding, Severity, read_findings, refuse_errors, write_findings
from trainable.data.io.folder_layout import plain_name
from trainable.data.io.image_cache import cached_folder, default_cache_dir
from trainable.data.io.splits import SPLIT_NAMES, stratified_class_split
from trainable.data.splitting.copies import check_copies, check_copies_across_splits
from trainable.data.splitting.decoded_pictures import Stored, array_file, decode_pictures
from trainable.data.splitting.division import divide_pictures
from trainable.data.splitting.lookalikes import check_lookalikes

_COUNTS_FILE = "table_counts.json"


def open_fundus_folder(
    root: Path,
    options: FundusFolderOptions,
    *,
    cache_dir: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> GradedSplits:
    """The folder as `LabelledImages`, through the cache, with warnings and notes.

    The class counts are those of the tables, without the rows of validation and test.
    `on_progress(done, total)` is called while something is decoded.

    Raises:
        DataError: with a table of everything that must be put right first.
        CacheError: the cache folder is full or cannot be written.
    """
    cache_dir = cache_dir or default_cache_dir()
    source = FundusSource.find(root, options, cache_dir)
    build = partial(_build, source, on_progress)
    folder = cached_folder(
        source.key(), cache_dir, build, needed_bytes=8 * len(source.files) * options.image_size_px**2
    )
    counts = json.loads((folder / _COUNTS_FILE).read_text(encoding="utf-8"))
    tasks = tuple(TASK_NAMES[task] for task in source.tasks)
    splits = GradedSplits.of(open_labelled(folder), tuple(map(tuple, counts)), tasks)
    return replace(splits, findings=read_findings(folder))


def _build(source: FundusSource, on_progress: Callable[[int, int], None] | None, folder: Path) -> None:
    """Reads every photograph even after the first bad one, so that all problems are reported at once."""
    with array_file(folder) as decoded:
        tick = Ticker(len(source.files), on_progress)
        pictures, looks = decode_pictures(
            partial(_read, source),
            source.files,
            tick,
            decoded,
            num_pixels=lambda file: num_pixels(source.root / file),
        )
        splits, findings = _divide(source, looks)
        findings = [*source.findings, *findings, *(bad for bad in pictures if isinstance(bad, Finding))]
        refuse_errors(findings, source.root, counted(len(source.files), "photograph"))

        def samples(split: str) -> Iterator[LabelledSample]:
            for row, picture in enumerate(pictures):
                if splits[row] == split:
                    assert isinstance(picture, Stored), picture
                    file, label = source.files[row], tuple(source.labels[row][task] for task in source.tasks)
                    name, digest = plain_name(file.with_suffix("")), source.digests[file]
                    yield LabelledSample(name=name, image=decoded.read(picture), label=label, digest=digest)

        size, class_names = (source.options.image_size_px,) * 2, tuple(CLASS_NAMES[task] for task in source.tasks)
        write_labelled(folder, {split: samples(split) for split in SPLIT_NAMES}, size, class_names)
    write_findings(folder, findings)
    (folder / _COUNTS_FILE).write_text(json.dumps(_table_counts(source, splits)), encoding="utf-8")


def _divide(source: FundusSource, looks: np.ndarray) -> tuple[list[str], list[Finding]]:
    """The split of each photograph, and findings about copies and about splits without a label.

    The split is what its path or its table says, else by patient and grade of the first task.
    """
    first = source.tasks[0] if source.tasks else 0
    names = [plain_name(file) for file in source.files]
    grades, alike = [labels[first] for labels in source.labels], list[Finding]()
    division = source.files, source.splits, source.groups, looks, source.options, alike
    splits = divide_pictures(*division, stratify=stratified_class_split, by=grades)
    findings = check_copies(source.files, source.labels, source.groups, source.digests, splits)
    findings += check_copies_across_splits(source.files, splits)
    findings += _unlabelled_splits(source, splits) + _missing_grades(source, splits) + _single_grades(source)
    return splits, findings + alike + check_lookalikes(names, splits, looks)


def _unlabelled_splits(source: FundusSource, splits: Sequence[str]) -> list[Finding]:
    """Errors for tasks without a label in a split, which can't be learned or measured there."""
    labelled = {
        (split, task)
        for split, labels in zip(splits, source.labels, strict=True)
        for task in source.tasks
        if labels[task] != MISSING
    }
    return [
        Finding(
            file=split,
            problem=f"has no photograph with a grade of {TASK_NAMES[task]}",
            action="Add photographs with such a grade, of several patients for each split.",
        )
        for split in SPLIT_NAMES
        for task in source.tasks
        if (split, task) not in labelled
    ]


def _missing_grades(source: FundusSource, splits: Sequence[str]) -> list[Finding]:
    """Warnings for grades that the folder has, but that a split with other grades of the task lacks."""
    found = {
        (split, task, labels[task])
        for split, labels in zip(splits, source.labels, strict=True)
        for task in source.tasks
        if labels[task] != MISSING
    }
    findings = []
    for split, task in sorted({(split, task) for split, task, _ in found}, key=lambda own: SPLIT_NAMES.index(own[0])):
        there = {grade for own_split, own_task, grade in found if (own_split, own_task) == (split, task)}
        if lacking := sorted({grade for _, own_task, grade in found if own_task == task} - there):
            problem = f"has no photograph of {TASK_NAMES[task]} grade {', '.join(map(str, lacking))}"
            effect = (
                "the grade cannot be learned" if split == "train" else "metrics of that split do not know the grade"
            )
            action = f"Add photographs of other patients; until then {effect}."
            findings.append(Finding(file=split, problem=problem, action=action, severity=Severity.WARNING))
    return findings


def _single_grades(source: FundusSource) -> list[Finding]:
    """Findings on tasks with a single grade, which can't be learned; an error if that holds for every task."""
    grades = {task: {labels[task] for labels in source.labels} - {MISSING} for task in source.tasks}
    alike = {task: found.pop() for task, found in grades.items() if len(found) == 1}
    action, severity = "Add photographs of another grade.", Severity.ERROR
    if len(alike) < len(grades):
        action, severity = (
            "Nothing can be learned of it: add photographs of another, or leave it out.",
            Severity.WARNING,
        )
    return [
        Finding(
            file="grades",
            problem=f"every photograph has grade {grade} of {TASK_NAMES[task]}",
            action=action,
            severity=severity,
        )
        for task, grade in alike.items()
    ]


def _table_counts(source: FundusSource, splits: Sequence[str]) -> list[list[int]]:
    """Number of rows of each grade, without those of validation and test."""
    held_out = {
        (key, split_in(file), folder)
        for file, split in zip(source.files, splits, strict=True)
        if split != "train"
        for folder in (None, file.parent)
        for key in {table.key(file) for table in source.tables}
    }
    known = []
    for table in source.tables:
        if table.split in (None, "train"):
            # Its photographs may lie in the folder of its split, or of any if it names none, or in no split's folder.
            folders = (None, *((table.split,) if table.split else SPLIT_NAMES))
            for image, labels in table.grades.items():
                is_free = held_out.isdisjoint((image, split, table.folder) for split in folders)
                if is_free and table.splits.get(image, "train") == "train":
                    known.append(labels)
    grades = np.array(known, np.int64).reshape(-1, len(TASK_NAMES))
    return [
        np.bincount(own[own != MISSING], minlength=len(CLASS_NAMES[task])).tolist()
        for task in source.tasks
        for own in [grades[:, task]]
    ]


def _read(source: FundusSource, file: Path) -> np.ndarray | Finding:
    size_px = source.options.image_size_px
    try:
        return crop_to_retina(read_upright(source.root / file, least_px=RETINA_SHARE * size_px), size_px)
    except BadFileError as error:
        return error.finding(plain_name(file))
