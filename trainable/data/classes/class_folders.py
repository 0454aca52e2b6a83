"""Class folders: where they lie, what each holds, and trees that only look like some."""

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from trainable.data.classes.class_names import twin_names
from trainable.data.io.counted import counted, first_of
from trainable.data.io.findings import DataError, Finding, Severity
from trainable.data.io.folder_layout import (
    COMMON_ENDINGS,
    UNREAD_PICTURE_ENDINGS,
    is_image,
    plain_name,
    subfolders,
)
from trainable.data.splitting.copies import marks_copies
from trainable.data.splitting.split_lists import LIST_ENDINGS
from trainable.data.splitting.split_names import split_of

_MOST_NAMED = 5
_MASK = re.compile(r"(?i)(?P<picture>.+)[-_](mask|seg|label)([-_]?[0-9]+)?")
_NOT_CLASSES = {"images", "image", "imgs", "img", "jpegimages", "masks"}
"""Folders of pictures with boxes or masks: `images/train` beside `labels/train`, `train/images`."""
_FOLD = re.compile(r"(?i)(cv[-_ ]?)?(fold|split)[-_ ]?[0-9]+")


def without_masks(pictures: Sequence[Path]) -> tuple[list[Path], list[Finding]]:
    """The pictures without masks of pictures beside them, `a_mask.png` of `a.png`, and a warning that counts those."""
    beside = {picture.with_suffix("") for picture in pictures}
    marks = [(picture, _MASK.fullmatch(picture.stem)) for picture in pictures]
    masks = {picture for picture, mark in marks if mark and picture.with_name(mark["picture"]) in beside}
    if not masks:
        return list(pictures), []
    problem = f"{len(masks)} of {len(pictures)} are named as the mask of one beside them: "
    named = first_of(sorted(map(plain_name, masks)), _MOST_NAMED)
    action = "Left out: masks are not images of a class. Rename them if they are."
    finding = Finding(file="pictures", problem=problem + named, action=action, severity=Severity.WARNING)
    return [picture for picture in pictures if picture not in masks], [finding]


def split_folders(pictures: Sequence[Path]) -> set[str]:
    """Names of the folders of splits, which hold folders of classes in turn."""
    return {file.parts[0] for file in pictures if len(file.parts) > 2 and split_of(Path(file.parts[0]))}


def class_of(file: Path, splits: set[str]) -> str | None:
    """The class that a picture's folder names; None when it lies in no class folder."""
    depth = 1 if splits else 0
    if len(file.parts) < depth + 2 or (splits and file.parts[0] not in splits):
        return None
    return plain_name(file.parts[depth])


def folder_of_classes(pictures: Sequence[Path]) -> Path | None:
    """The highest folder below the root that holds folders of several classes, in splits or not."""
    places = {place for file in pictures for place in file.parents} - {Path()}
    for place in sorted(places, key=lambda own: (len(own.parts), own)):
        below = [file.relative_to(place) for file in pictures if file.is_relative_to(place)]
        splits = split_folders(below)
        names = {class_of(file, splits) for file in below} - {None}
        if len(names) > 1 and not all(split_of(Path(str(name))) for name in names):
            return place
    return None


def folder_beside_lists(files: Sequence[Path], pictures: Sequence[Path]) -> Path:
    """The one folder that all class folders lie in, where lists of splits lie beside it, as Food-101 and CUB-200 have
    them; else the root, `Path()`.
    """
    tops = {file.parts[0] for file in pictures}
    lists = [file for file in files if file.suffix.lower() in LIST_ENDINGS and split_of(Path(file.stem))]
    if len(tops) != 1 or any(len(file.parts) < 3 for file in pictures) or split_folders(pictures):
        return Path()
    (top,) = tops
    return Path(top) if any(file.parts[0] != top for file in lists) else Path()


def check_class_folders(root: Path, pictures: Sequence[Path]) -> None:
    """Raises DataError for a tree whose classes lie elsewhere, or in two spellings."""
    splits = split_folders(pictures)
    below: dict[str, set[str]] = {}
    direct: set[str] = set()
    for file in pictures:
        if (name := class_of(file, splits)) is not None:
            inside = file.parts[2 if splits else 1 :]
            below.setdefault(name, set()).update(inside[:1] if len(inside) > 1 else ())
            direct |= {name} if len(inside) == 1 else set()
    names = sorted(below)
    if twins := twin_names(names):
        # In quotes where a space at the end would not be seen.
        one, other = (name if name == name.strip() else repr(name) for name in twins)
        raise DataError(
            f"{root} holds one class under two names, {one} and {other}: give the folder one name, in every split."
        )
    if names and not splits and all(split_of(Path(name)) for name in names):
        raise DataError(
            f"The folders {', '.join(names)} of {root} name splits, but hold images and no class folders: put a folder "
            "for each class into each of them, or a table of labels beside them."
        )
    if _NOT_CLASSES.issuperset(map(str.casefold, names)) and (splits or len(names) > 1 or any(below.values())):
        _refuse_pictures_of_boxes(root, below)
    if below and not direct and min(len(inside) for inside in below.values()) > 1:
        _check_level(root, below, splits)
    if not splits:
        _refuse_splits_below(root, below)


def outside_of_classes(pictures: Sequence[Path]) -> list[Finding]:
    """Warnings for pictures in no class folder, folders beside those of splits, and a class named as a split."""
    splits = split_folders(pictures)
    lost = [file for file in pictures if class_of(file, splits) is None]
    beside = Counter(file.parts[0] for file in lost if splits and len(file.parts) > 1 and file.parts[0] not in splits)
    flat = [file for file in lost if len(file.parts) == 1 or file.parts[0] not in beside]
    findings = [
        _left_out(name, f"lies beside the folders of the splits, with {counted(number, 'picture')}")
        for name, number in sorted(beside.items())
    ]
    for place, number in Counter(file.parent for file in flat).items():
        first = next(file for file in flat if file.parent == place)
        others = f", as are {counted(number - 1, 'other')}" if number > 1 else ""
        findings.append(_left_out(plain_name(first), f"is in no class folder{others}"))
    named = {file.parts[0] for file in pictures if not splits and len(file.parts) > 1 and split_of(Path(file.parts[0]))}
    return findings + [
        Finding(
            file=plain_name(name),
            problem="is named as a split, but holds pictures and no class folders",
            action="Read as a class, since folders that name no split lie beside it.",
            severity=Severity.WARNING,
        )
        for name in sorted(named)
    ]


def class_folder_findings(root: Path, files: Sequence[Path], pictures: Sequence[Path]) -> Iterator[Finding]:
    """Findings on class folders without a picture, with folders alone, or with files of other kinds."""
    splits = split_folders(pictures)
    tops = [Path(name) for name in sorted(splits)] or [Path()]
    endings: dict[Path, Counter[str]] = {}
    for file in files:
        if len(file.parts) > len(tops[0].parts) + 1:
            ending = "" if is_image(file) else file.suffix.lower() or "without an ending"
            endings.setdefault(Path(*file.parts[: len(tops[0].parts) + 1]), Counter())[ending] += 1
    yield from _folders_alone(root, pictures, len(tops[0].parts))
    for folder in (top / child.name for top in tops for child in subfolders(root, top)):
        held = endings.get(folder, Counter())
        num_pictures = held.pop("", 0)
        unread = {ending: number for ending, number in held.items() if ending in UNREAD_PICTURE_ENDINGS}
        if unread:
            problem = "holds pictures that are not read: " + _listed(unread)
            yield Finding(
                file=plain_name(folder), problem=problem, action=f"Save them as {COMMON_ENDINGS}, or remove them."
            )
        elif not num_pictures and not held:
            action = f"Put images there, with the endings {COMMON_ENDINGS}, or remove the folder."
            yield Finding(file=plain_name(folder), problem="holds no image", action=action)
        elif held:
            yield _strays(folder, held, num_pictures)


def _folders_alone(root: Path, pictures: Sequence[Path], depth: int) -> Iterator[Finding]:
    """Class folders whose pictures lie in folders of their own, which may be the classes, beside one with pictures."""
    inside: dict[Path, set[str]] = {}
    for file in pictures:
        if len(file.parts) > depth + 1:
            deeper = file.parts[depth + 1] if len(file.parts) > depth + 2 else ""
            inside.setdefault(Path(*file.parts[: depth + 1]), set()).add(deeper)
    alone = {
        folder: names
        for folder, names in inside.items()
        if "" not in names and len(names) > 1 and not all(map(marks_copies, names))
    }
    if len(alone) > 1 and len(alone) == len(inside):
        yield _all_of_folders(alone)
        return
    for folder, names in alone.items():
        if any("" in names for names in inside.values()):
            listed = ", ".join(sorted(map(plain_name, names))[:_MOST_NAMED])
            yield Finding(
                file=plain_name(folder),
                problem=f"holds no image itself, but the folders {listed}",
                action="Read as one class. If these folders are the classes, give the folder that holds them, such as "
                f"--data {shlex.quote(str(root / folder))}.",
                severity=Severity.WARNING,
            )


def _all_of_folders(inside: dict[Path, set[str]]) -> Finding:
    """Finding on class folders that hold only folders, which may be the real classes: diseases of several crops."""
    folder, names = next(iter(inside.items()))
    listed = first_of(sorted(map(plain_name, names)), _MOST_NAMED)
    others = counted(len(inside) - 1, "other class folder holds", "other class folders hold")
    return Finding(
        file=plain_name(folder),
        problem=f"holds no image itself, but the folders {listed}; {others} such as well",
        action="Each is read as one class. If the folders in them are the classes, put these beside one another.",
        severity=Severity.WARNING,
    )


def _check_level(root: Path, below: dict[str, set[str]], splits: set[str]) -> None:
    """Raises DataError if class folders hold only folders, such as the classes, splits or folds of one set."""
    if len(below) == 1:
        ((only, inside),) = below.items()
        listed = ", ".join(sorted(map(plain_name, inside))[:_MOST_NAMED])
        if splits:
            raise DataError(
                f"{root} holds one class, {only}, in each split, and in it the folders {listed}: if these are the "
                f"classes, move them up into the folders of the splits, beside {only}."
            )
        raise DataError(
            f"{root} holds one folder of images, {only}, and in it the folders {listed}: give "
            f"--data {shlex.quote(str(root / only))}."
        )
    inner = {frozenset(plain_name(name).casefold() for name in inside) for inside in below.values()}
    if len(inner) == 1 and not all(map(marks_copies, next(iter(inner)))):
        variants, first = sorted(below), min(next(iter(inner)))
        classes = ", ".join(sorted(next(iter(inner)))[:3])
        if splits or all(split_of(Path(name)) for name in next(iter(inner))):
            raise DataError(
                f"{root} holds the same folders, {classes} ..., in each of {', '.join(variants)}: put the folders "
                "of classes into those of splits, with nothing between: "
                f"{next(iter(sorted(splits)), 'train')}/CLASS/*.jpg."
            )
        if all(map(_FOLD.fullmatch, variants)):
            raise DataError(
                f"{root} holds folds of one set, {', '.join(variants)}, each with the folders {classes} ...: name them "
                "train, valid and test, or move the images of all folds into one folder a class."
            )
        raise DataError(
            f"{root} holds the same folders, {classes} ..., in each of {', '.join(variants)}: these look like variants "
            f"of one set. Give one of them, such as --data {shlex.quote(str(root / variants[0]))}; if {variants[0]} is "
            f"a class, put its images into it; if {first} is one, put the images of all into one folder {first}."
        )


def _refuse_pictures_of_boxes(root: Path, below: dict[str, set[str]]) -> None:
    """Raises DataError for folders of pictures, named so, with none inside but those of splits."""
    if all(split_of(Path(name)) for inside in below.values() for name in inside):
        raise DataError(
            f"{root} holds no folders of classes, but pictures in {first_of(sorted(below), _MOST_NAMED)}: the class of "
            "a picture is the folder it lies in, train/CLASS/*.jpg, or a column of a table. Boxes are read by --space "
            "agroforestry, masks by --space moe."
        )


def _refuse_splits_below(root: Path, below: dict[str, set[str]]) -> None:
    """Raises DataError for class folders that hold some of splits: test images would be trained on."""
    named = sorted({plain_name(name) for inside in below.values() for name in inside if split_of(Path(name))})
    if named:
        holding = sorted(name for name, inside in below.items() if any(split_of(Path(own)) for own in inside))
        raise DataError(
            f"{root} holds folders that name splits, {', '.join(named)}, in those of classes, "
            f"{first_of(holding, _MOST_NAMED)}: put the folders of classes into those of splits, train/CLASS/*.jpg."
        )


def _left_out(file: str, problem: str) -> Finding:
    action = "Left out; move it into its class folder to train on it."
    return Finding(file=file, problem=problem, action=action, severity=Severity.WARNING)


def _strays(folder: Path, held: dict[str, int], num_pictures: int) -> Finding:
    also = "also holds files that are not images" if num_pictures else "holds no image, but other files"
    return Finding(
        file=plain_name(folder),
        problem=f"{also}: {_listed(held)}",
        action="They were left alone; nothing to do.",
        severity=Severity.NOTE if num_pictures else Severity.WARNING,
    )


def _listed(numbers: dict[str, int]) -> str:
    return ", ".join(f"{number} {ending}" for ending, number in sorted(numbers.items()))
