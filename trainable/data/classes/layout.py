"""Which image has which label in a folder of class folders.

`<root>/<class>/*.jpg` is divided by us; `<root>/train|val|test/<class>/*.jpg` keeps the parts that its folders name.
Classes are numbered in the order of their names. Images may lie deeper; what is no image beside them is left alone.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainable.data.io.findings import DataError, Finding, Severity
from trainable.data.io.folder_layout import (
    COMMON_ENDINGS,
    IMAGE_ENDINGS,
    files_below,
    is_image,
    require_folder,
    subfolders,
)
from trainable.data.io.parts import split_of

_EXPECTED = "a folder of images for each class"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassImage:
    """One image file and its class."""

    file: Path
    """Below the data folder."""
    class_name: str
    split: str | None
    """The part that a folder names: train, validation, test; None when none does."""
    group: str | None = None
    """Whom or what it is of, where a table says so; images of one group are all in one part."""


def find_class_images(root: Path) -> tuple[list[ClassImage], list[Finding]]:
    """All images in order of their path, and what was left out.

    Raises:
        DataError: there is no folder, no image in a class folder, or one class alone.
    """
    require_folder(root, _EXPECTED)
    images: list[ClassImage] = []
    findings = _outside_of_classes(root)
    for folder, split in _class_folders(root):
        found, others = _images_in(root, folder, split)
        images += found
        findings += others
    _require_classes(root, {image.class_name for image in images})
    return sorted(images, key=lambda image: image.file.as_posix()), findings


def _class_folders(root: Path) -> Iterator[tuple[Path, str | None]]:
    parts = [folder for folder in subfolders(root) if split_of(Path(folder.name))]
    if not parts:
        yield from ((folder, None) for folder in subfolders(root))
    for part in parts:
        yield from ((folder, split_of(Path(part.name))) for folder in subfolders(part))


def _images_in(root: Path, folder: Path, split: str | None) -> tuple[list[ClassImage], list[Finding]]:
    images, findings = [], []
    strays: Counter[str] = Counter()
    for path in files_below(folder):
        file = folder.relative_to(root) / path
        if not is_image(path):
            strays[path.suffix.lower() or "without an ending"] += 1
        elif (root / file).is_file():
            images.append(ClassImage(file=file, class_name=folder.name, split=split))
        else:
            problem = "is a link to a file that is not there"
            findings.append(Finding(file=file.as_posix(), problem=problem, action="Restore the file, or remove it."))
    where = folder.relative_to(root).as_posix()
    if strays:
        findings.append(_strays(where, strays))
    if not images:
        action = f"Put images there, with the endings {COMMON_ENDINGS}, or remove the folder."
        findings.append(Finding(file=where, problem="holds no image", action=action))
    return images, findings


def _strays(where: str, strays: Counter) -> Finding:
    listed = ", ".join(f"{number} {ending}" for ending, number in sorted(strays.items()))
    return Finding(
        file=where,
        problem=f"also holds files that are no images: {listed}",
        action="They were left alone; nothing to do.",
        severity=Severity.NOTE,
    )


def _outside_of_classes(root: Path) -> list[Finding]:
    """Images beside the class folders, and class folders beside those of parts."""
    outside = [path for path in sorted(root.iterdir()) if path.suffix.lower() in IMAGE_ENDINGS]
    folders = subfolders(root)
    if any(split_of(Path(folder.name)) for folder in folders):
        outside += [folder for folder in folders if not split_of(Path(folder.name))]
    return [
        Finding(
            file=path.name,
            problem="lies in no class folder" if path.is_file() else "lies beside the folders of the parts",
            action="It was left out; move it into its class folder to train on it.",
            severity=Severity.WARNING,
        )
        for path in outside
    ]


def _require_classes(root: Path, classes: Sequence[str] | set[str]) -> None:
    if len(classes) >= 2:
        return
    if not classes:
        holds = ", ".join(child.name for child in sorted(root.iterdir())[:5]) or "nothing"
        raise DataError(f"No class folder with images was found in {root}: expected {_EXPECTED}; it holds {holds}.")
    (only,) = classes
    raise DataError(
        f"{root} holds images of one class, {only}; a classifier needs two or more. "
        "Give the folder above, or add the folder of another class."
    )
