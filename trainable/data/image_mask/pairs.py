"""Which image belongs to which mask, in the folder layouts that camouflage sets come in.

A pair of folders is an image folder (`Imgs`, `Image`, `Images`, `Img`) beside a mask folder (`GT`, `GT_Object`,
`Mask`, `Masks`), at most four levels below the given one: `Imgs + GT`, `TrainDataset/Imgs + GT`,
`TestDataset/CAMO/Imgs + GT`, `Train/Image + GT_Object`, `Train/COD10K-TR/Image + Mask`. A level whose name begins
with train, val or test says which part its images are. Files are matched by name without ending, never by order.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trainable.data.io.findings import DataError, Finding
from trainable.data.io.folder_layout import COMMON_ENDINGS, IMAGE_ENDINGS, require_folder, subfolders
from trainable.data.io.parts import split_of

IMAGE_FOLDERS = ("imgs", "image", "images", "img")
MASK_FOLDERS = ("gt", "gt_object", "mask", "masks")

_MAX_DEPTH = 4
_EXPECTED = "Imgs, Image or Images beside GT, GT_Object, Mask or Masks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One image and its mask."""

    name: str
    """Path below the data folder, without the image folder's own name and the ending."""
    image: Path
    """Below the data folder."""
    mask: Path
    """Below the data folder."""
    split: str | None
    """The part that the folder's name says: train, validation, test; None when it says nothing."""


def find_pairs(root: Path) -> tuple[list[Pair], list[Finding]]:
    """All pairs below the folder in order of name, and what does not match.

    Raises:
        DataError: there is no folder, or no pair of folders in it.
    """
    require_folder(root, _EXPECTED)
    pairs: list[Pair] = []
    findings: list[Finding] = []
    for folder in _folders_below(root):
        children = {child.name.lower(): child for child in subfolders(folder)}
        images = [children[name] for name in IMAGE_FOLDERS if name in children]
        masks = [child for name, child in children.items() if name.removesuffix("_inverted") in MASK_FOLDERS]
        if images and len(images) == len(masks) == 1:
            matched, unmatched = _match(root, images[0], masks[0])
            pairs += matched
            findings += unmatched
        elif images:
            findings.append(_unpaired(root, folder, images, masks))
    if not pairs and not findings:
        raise DataError(_nothing_found(root))
    return sorted(pairs, key=lambda pair: pair.name), findings


def _folders_below(folder: Path, depth: int = 0) -> Iterator[Path]:
    """The depth limit ends circles of links as well as walks through a whole disk."""
    yield folder
    if depth < _MAX_DEPTH:
        for child in subfolders(folder):
            if child.name.lower() not in IMAGE_FOLDERS + MASK_FOLDERS:
                yield from _folders_below(child, depth + 1)


def _match(root: Path, images: Path, masks: Path) -> tuple[list[Pair], list[Finding]]:
    image_of, findings = _files_by_stem(root, images)
    mask_of, mask_findings = _files_by_stem(root, masks)
    findings += mask_findings
    if not image_of:
        return [], [*findings, _no_image(root, images, masks)]
    place = images.parent.relative_to(root)
    both = image_of.keys() & mask_of.keys()
    pairs = [
        Pair(name=(place / stem).as_posix(), image=image_of[stem], mask=mask_of[stem], split=split_of(place))
        for stem in sorted(both)
    ]
    stems = sorted(mask_of)
    findings += [_missing_mask(image_of[stem], masks.name, stems) for stem in sorted(image_of.keys() - both)]
    findings += [_missing_image(mask_of[stem], images.name) for stem in sorted(mask_of.keys() - both)]
    return pairs, findings


def _files_by_stem(root: Path, folder: Path) -> tuple[dict[str, Path], list[Finding]]:
    """Hidden files and other endings (Thumbs.db, notes, XML) are not ours."""
    found: dict[str, Path] = {}
    findings: list[Finding] = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in IMAGE_ENDINGS:
            continue
        file = path.relative_to(root)
        if not path.is_file():
            problem = "is a link to a file that is not there" if path.is_symlink() else "is not a file"
            findings.append(Finding(file=file.as_posix(), problem=problem, action="Restore the file, or remove it."))
        elif path.stem in found:
            problem = f"has the same name as {found[path.stem].name}"
            findings.append(Finding(file=file.as_posix(), problem=problem, action="Keep one of the two."))
        else:
            found[path.stem] = file
    return found, findings


def _no_image(root: Path, images: Path, masks: Path) -> Finding:
    deeper = [child.name for child in subfolders(images) if _files_by_stem(root, child)[0]]
    if deeper:
        part = deeper[0]
        problem = f"holds no image itself: they are one folder deeper, in {', '.join(deeper)}"
        action = f"Turn the folders round: {part}/{images.name} beside {part}/{masks.name}, and so for each part."
    else:
        problem, action = "holds no image", f"Put images there, with the endings {COMMON_ENDINGS}."
    return Finding(file=_below(root, images), problem=problem, action=action)


def _missing_mask(image: Path, mask_folder: str, mask_stems: list[str]) -> Finding:
    stem = image.stem
    place = bisect_left(mask_stems, stem)
    near = mask_stems[place] if place < len(mask_stems) and mask_stems[place].startswith(stem) else None
    hint = f"; there is {near}, but names must be equal" if near else ""
    return Finding(
        file=image.as_posix(),
        problem=f"has no mask: {mask_folder} holds no {stem}{hint}",
        action="Add the mask under the image's name, or remove the image.",
    )


def _missing_image(mask: Path, image_folder: str) -> Finding:
    return Finding(
        file=mask.as_posix(),
        problem=f"has no image: {image_folder} holds no {mask.stem}",
        action="Add the image, or remove the mask.",
    )


def _unpaired(root: Path, folder: Path, images: list[Path], masks: list[Path]) -> Finding:
    if len(images) > 1 or len(masks) > 1:
        names = ", ".join(child.name for child in (images if len(images) > 1 else masks))
        what = "image" if len(images) > 1 else "mask"
        return Finding(
            file=_below(root, folder),
            problem=f"holds more than one {what} folder: {names}",
            action=f"Keep one {what} folder there.",
        )
    num_images = sum(path.suffix.lower() in IMAGE_ENDINGS for path in images[0].iterdir())
    others = [child.name for child in subfolders(folder) if child != images[0]]
    beside = f"only {', '.join(others)}" if others else "nothing"
    return Finding(
        file=_below(root, images[0]),
        problem=f"{num_images} images without masks: beside this folder lies {beside}",
        action="Put the masks beside it in GT, GT_Object, Mask or Masks, each under its image's name.",
    )


def _nothing_found(root: Path) -> str:
    if root.name.lower() in IMAGE_FOLDERS + MASK_FOLDERS:
        return f"{root} is itself an image or mask folder; give the folder above it: {root.absolute().parent}."
    names = [child.name for child in sorted(root.iterdir())][:5]
    holds = ", ".join(names) or "nothing"
    return (
        f"No images with masks were found in {root}: expected {_EXPECTED}, at most {_MAX_DEPTH} levels down; "
        f"it holds {holds}."
    )


def _below(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()
