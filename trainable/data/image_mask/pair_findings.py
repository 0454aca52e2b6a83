"""Findings about folders of images and masks: what was read, what was left out, and why nothing could be."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from trainable.data.image_mask.roles import role_of
from trainable.data.io.counted import counted, first_of
from trainable.data.io.findings import DataError, Finding, Severity, errors_among, note
from trainable.data.io.folder_layout import COMMON_ENDINGS, files_below, is_image, plain_name, subfolders
from trainable.data.io.unread import what_to_unpack
from trainable.data.splitting.split_names import split_of

EXPECTED = "Imgs, Image or Images beside GT, GT_Object, Mask or Masks"
_OUTLINE_ENDINGS = (".json", ".xml", ".txt")
_NO_OUTLINES = (
    "holds no outline that can be read. A box is no mask: outline the objects, or search them as boxes with --space "
    "agroforestry."
)
_PUT_MASKS = (
    "Put the masks beside it in a folder GT, Mask or Masks, each under its image's name. Outlines in json, xml, txt or "
    "csv are read where the folder has no pictures of masks; boxes are no masks."
)
_MAX_NAMED = 3
_NO_PARTNER = "Left out: in no pair of an image and a mask folder. Nothing to do if they are neither."


def read_as(images: Path, masks: Path, num_pairs: int, num_masks: int) -> Finding:
    """Note on a pair of folders, or a single one, that was read as images and masks."""
    which = "the masks" if num_masks == num_pairs else f"the {num_masks} masks, united,"
    where = "in this folder" if images == masks else f"of {plain_name(masks)}"
    split = split_of(images)
    problem = f"{counted(num_pairs, 'image')} with {which} {where}"
    return note(plain_name(images), f"{problem}{f' ({split})' if split else ''}", "Read as images and masks.")


def no_image(images: Path) -> Finding:
    return Finding(
        file=plain_name(images),
        problem="holds no image",
        action=f"Put images there, with the endings {COMMON_ENDINGS}.",
    )


def later_observers(place: Path, masks: Sequence[Path]) -> Finding:
    """Note on masks, or folders of masks, of images that a first observer marked too."""
    named = first_of([plain_name(mask.name) for mask in masks], _MAX_NAMED)
    problem = f"{counted(len(masks), 'mask or folder', 'masks or folders')} of second and later observers: {named}"
    return note(plain_name(place), problem, "Left out: what the first observer marked is the truth.")


def without_segmentation(images: Path, number: int) -> list[Finding]:
    """Note that some images have no mask, as in VOC, which has masks for a part of its images."""
    problem = f"{counted(number, 'image has', 'images have')} no mask in SegmentationClass"
    return [note(plain_name(images), problem, "Left out; nothing to do.")] if number else []


def left_out(root: Path, read: Sequence[tuple[Path, Path]]) -> list[Finding]:
    """A warning for each folder with pictures that are in no pair of folders."""
    with_all_below = {place for images, masks in read if images != masks for place in (images, masks)}
    alone = {images for images, masks in read if images == masks}
    numbers = Counter(file.parent for file in files_below(root) if is_image(file))
    return [
        Finding(file=plain_name(place), problem=f"pictures: {number}", action=_NO_PARTNER, severity=Severity.WARNING)
        for place, number in sorted(numbers.items())
        if place not in alone and with_all_below.isdisjoint((place, *place.parents))
    ]


def images_without_masks(root: Path, max_depth: int) -> list[Finding]:
    """An error for each folder of images that no masks lie beside.

    Raises:
        DataError: there is none either.
    """
    places = {file.parent for file in files_below(root) if is_image(file)}
    alone = [place for place in sorted(places) if place.parts and role_of(place).holds == "images"]
    if not alone:
        raise DataError(_nothing_found(root, max_depth))
    return [without_masks(root, images) for images in alone]


def without_masks(root: Path, images: Path) -> Finding:
    """An error for a folder of images, with what lies beside it in place of masks."""
    number = sum(map(is_image, files_below(root, images)))
    others = [images.parent / child.name for child in subfolders(root, images.parent) if child.name != images.name]
    beside = f"only {', '.join(_with_content(root, other) for other in others)}" if others else "no other folder"
    problem = f"{counted(number, 'image')} without masks: there is {beside} beside it"
    return Finding(file=plain_name(images), problem=problem, action=_PUT_MASKS)


def only_lack_masks(findings: Sequence[Finding]) -> bool:
    """Whether all errors are of `without_masks`: no picture may be a mask that does not fit."""
    return all(error.action == _PUT_MASKS for error in errors_among(findings))


def _with_content(root: Path, folder: Path) -> str:
    """Its name, and an outline that lies in it in place of pictures."""
    files = files_below(root, folder)
    outlines = [file for file in files if file.suffix.lower() in _OUTLINE_ENDINGS]
    name = plain_name(folder.name)
    if any(map(is_image, files)):
        return name
    return f"{name} with {plain_name(outlines[0])}" if outlines else f"{name}, which holds no picture,"


def _nothing_found(root: Path, max_depth: int) -> str:
    if role_of(root).holds:
        return f"{root} is itself an image or mask folder; give the folder above it: {root.absolute().parent}."
    holds = ", ".join([child.name for child in sorted(root.iterdir())][:5]) or "nothing"
    files = files_below(root)
    outlines = [file for file in files if file.suffix.lower() in _OUTLINE_ENDINGS]
    drawn = f" {plain_name(outlines[0])} {_NO_OUTLINES}" if outlines and any(map(is_image, files)) else ""
    return (
        f"No images with masks were found in {root}: expected {EXPECTED}, at most {counted(max_depth, 'level')} down; "
        f"it holds {holds}.{what_to_unpack(files) or drawn}"
    )
