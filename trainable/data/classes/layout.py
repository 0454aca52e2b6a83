"""Which image has which label in a folder of class folders.

`<root>/<class>/*.jpg` is divided by us; `<root>/train|valid|test/<class>/*.jpg` keeps the splits that its folders name,
and lists (`train.txt`) keep theirs. Classes are numbered in the order of their names. Images may lie deeper; what is no
image beside them is left alone. Where no folders hold classes, `label_table.py` reads a table.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trainable.data.classes.class_folders import (
    check_class_folders,
    class_folder_findings,
    class_of,
    folder_beside_lists,
    folder_of_classes,
    outside_of_classes,
    split_folders,
    without_masks,
)
from trainable.data.io.findings import DataError, Finding
from trainable.data.io.folder_layout import files_below, is_image, plain_name, refuse_dead_links, require_folder
from trainable.data.io.table import TABLE_ENDINGS
from trainable.data.io.unread import what_to_unpack
from trainable.data.splitting.split_lists import LEFT_OUT, listed_splits
from trainable.data.splitting.split_names import split_of

_EXPECTED = "a folder of images for each class"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassImage:
    """One image file and its class."""

    file: Path
    """Below the data folder."""
    class_name: str
    split: str | None
    """The split that a folder, a table or a list names: train, validation, test; None when none does."""
    group: str | None = None
    """Whom or what it is of, where a table says so; images of one group are all in one split."""


def find_class_images(root: Path) -> tuple[list[ClassImage], list[Finding]]:
    """All images in order of their path, and what was left out.

    Raises:
        DataError: there is no folder, no image in a class folder, or one class alone.
    """
    require_folder(root, _EXPECTED)
    files = files_below(root)
    refuse_dead_links(root, files)
    pictures, findings = without_masks([file for file in files if is_image(file)])
    place = folder_beside_lists(files, pictures)
    pictures = [file.relative_to(place) for file in pictures]
    inside = [file.relative_to(place) for file in files if file.is_relative_to(place)]
    check_class_folders(root / place, pictures)
    images, found = _in_folders(root / place, inside, pictures)
    findings += found
    _require_classes(root / place, {image.class_name for image in images}, inside)
    images = [replace(image, file=place / image.file) for image in images]
    images.sort(key=lambda image: image.file.as_posix())
    kept, listed = with_listed_splits(root, images)
    return kept, findings + listed


def with_listed_splits(root: Path, images: Sequence[ClassImage]) -> tuple[list[ClassImage], list[Finding]]:
    """The images with the splits that lists say, where nothing else names one; those in no list may be left out."""
    if any(image.split for image in images):
        return list(images), []
    splits, listed = listed_splits(root, [image.file for image in images])
    kept = [replace(image, split=split) for image, split in zip(images, splits, strict=True) if split != LEFT_OUT]
    return kept, listed


def _in_folders(root: Path, files: Sequence[Path], pictures: Sequence[Path]) -> tuple[list[ClassImage], list[Finding]]:
    splits = split_folders(pictures)
    findings = outside_of_classes(pictures) + list(class_folder_findings(root, files, pictures))
    images = []
    for file in pictures:
        name = class_of(file, splits)
        if name is not None and (root / file).is_file():
            split = split_of(Path(file.parts[0])) if splits else None
            images.append(ClassImage(file=file, class_name=name, split=split))
        elif name is not None:
            problem, action = "is a link to a file that is not there", "Restore the file, or remove it."
            findings.append(Finding(file=plain_name(file), problem=problem, action=action))
    return images, findings


def _require_classes(root: Path, classes: set[str], files: Sequence[Path]) -> None:
    if len(classes) >= 2:
        return
    inside = what_to_unpack(files) or _tables_in_vain(files)
    if not classes:
        holds = ", ".join(child.name for child in sorted(root.iterdir())[:5]) or "nothing"
        raise DataError(
            f"No class folder with images was found in {root}: expected {_EXPECTED}; it holds {holds}.{inside}"
        )
    (only,) = classes
    if (place := folder_of_classes([file for file in files if is_image(file)])) is not None:
        raise DataError(
            f"{root} holds images of one class, {only}, but {plain_name(place)} holds folders of several: give "
            f"--data {shlex.quote(str(root / place))}."
        )
    raise DataError(
        f"{root} holds images of one class, {only}; a classifier needs two or more. "
        f"Give the folder above, or add the folder of another class.{inside}"
    )


def _tables_in_vain(files: Sequence[Path]) -> str:
    """Sentence, after a space, on tables that give no class of the images beside them."""
    tables = [plain_name(file) for file in files if file.suffix.lower() in TABLE_ENDINGS]
    needed = "a first line that names its columns, one column that names these images and one that says their classes"
    return f" {tables[0]} was not read as a table of classes: it needs {needed}." if tables else ""
