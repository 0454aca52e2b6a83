"""A mask for each object, as of the Data Science Bowl 2018: `00ae6/images/00ae6.png` beside `00ae6/masks/*.png`."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from trainable.data.annotations.objects.annotation_file import AnnotationFile
from trainable.data.annotations.objects.masks import object_from_mask
from trainable.data.annotations.objects.shapes import ObjectShape
from trainable.data.annotations.objects.written_values import UNNAMED, ObjectError
from trainable.data.image_mask.mask_check import binarise
from trainable.data.image_mask.mask_values import in_eight_bits
from trainable.data.image_mask.roles import role_of
from trainable.data.io.counted import counted, first_of
from trainable.data.io.decoding import read_upright
from trainable.data.io.files import in_parallel
from trainable.data.io.findings import BadFileError, Finding, Severity
from trainable.data.io.folder_layout import plain_name
from trainable.data.io.picture_names import picture_key

_MAX_NAMED = 3


def masks_of_samples(pictures: Sequence[Path]) -> dict[Path, list[Path]]:
    """The masks of each picture in a folder of its own name, where all of them lie in a folder of masks beside it."""
    below: dict[Path, list[Path]] = {}
    for picture in pictures:
        below.setdefault(picture.parent, []).append(picture)
    folders: dict[Path, list[Path]] = {}
    for folder in below:
        folders.setdefault(folder.parent, []).append(folder)
    samples: dict[Path, list[Path]] = {}
    for sample, own in folders.items():
        images = [folder for folder in own if role_of(folder).holds == "images"]
        masks = [folder for folder in own if role_of(folder).holds == "masks"]
        if len(images) == len(masks) == 1 and len(below[images[0]]) == 1 and below[images[0]][0].stem == sample.name:
            samples[below[images[0]][0]] = below[masks[0]]
    return samples


def without_masks(pictures: Sequence[Path], used: Sequence[Path]) -> tuple[list[Path], list[Finding]]:
    """The pictures without those in folders of masks that have the name of a picture outside of such; a warning, but
    for those that are used.
    """
    known = set(used)
    pictures = [picture for picture in pictures if picture not in known]
    in_masks = {picture for picture in pictures if role_of(picture.parent).holds == "masks"}
    keys = {picture_key(picture.name) for picture in pictures if picture not in in_masks}
    masks = [picture for picture in pictures if picture in in_masks and picture_key(picture.name) in keys]
    if not masks:
        return list(pictures), []
    folders = sorted({plain_name(mask.parent) for mask in masks})
    finding = Finding(
        file=first_of(folders, _MAX_NAMED),
        problem=f"{counted(len(masks), 'picture has', 'pictures have')} the name of another, in a folder of masks",
        action="Not used: each object needs an outline, a mask of its own, as a/masks/*.png beside a/images/a.png, or "
        "a number of its own in the one mask of its picture: 1, 2, 3 ..., and 0 for the ground.",
        severity=Severity.WARNING,
    )
    left_out = set(masks)
    return [picture for picture in pictures if picture not in left_out], [finding]


def read_instance_masks(root: Path, masks: Mapping[Path, Sequence[Path]]) -> dict[Path, AnnotationFile]:
    """The objects of each picture, without names; a mask that cannot be used is left out as a problem."""
    every = [mask for own in masks.values() for mask in own]
    read = dict(zip(every, in_parallel(partial(_read, root), every), strict=True))
    found = {}
    for picture, own in masks.items():
        annotated = AnnotationFile()
        annotated.picture(picture.name)
        for mask in own:
            annotated.add(picture.name, plain_name(mask.name), partial(_usable, read[mask]))
        annotated.drop_repeated()
        found[picture] = annotated
    return found


def _read(root: Path, mask: Path) -> ObjectShape | ObjectError:
    """Returns the object as run lengths, since pixels of thousands would fill the memory; or the reason for none."""
    try:
        pixels = binarise(in_eight_bits(read_upright(root / mask)), plain_name(mask))[0].astype(bool)
        return object_from_mask(UNNAMED, pixels, place=plain_name(mask.name))
    except BadFileError as error:
        return ObjectError("have a mask that cannot be used", error.problem)
    except ObjectError as error:
        return error


def _usable(read: ObjectShape | ObjectError) -> ObjectShape:
    if isinstance(read, ObjectError):
        raise read
    return read
