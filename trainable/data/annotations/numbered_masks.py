"""One mask a picture in which each object has a number of its own: 0 is the ground, 1 to n are the objects.

Label images of classes look alike: numbers are taken for objects where each is one area, none between 1 and n is
missing, and n differs from picture to picture, or where the folder is called after instances.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from scipy import ndimage

from trainable.data.annotations.objects.annotation_file import AnnotationFile
from trainable.data.annotations.objects.masks import object_from_mask
from trainable.data.annotations.objects.written_values import UNNAMED
from trainable.data.image_mask.roles import role_of
from trainable.data.io.counted import counted
from trainable.data.io.decoding import read_upright
from trainable.data.io.files import in_parallel
from trainable.data.io.findings import BadFileError, Finding, note
from trainable.data.io.folder_layout import plain_name
from trainable.data.io.picture_names import PictureNames
from trainable.data.splitting.split_names import share_a_split

_ONE_AREA_SHARE = 0.9
"""Least share of the numbers that are one area each: another object may hide the middle of one."""
_INSTANCES = ("instance", "instances")
_TOUCHING = np.ones((3, 3), bool)
"""Pixels that touch at a corner are of one area."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedMasks:
    """The pictures of a folder whose objects one mask numbers."""

    annotated: Mapping[Path, AnnotationFile]
    """By picture."""
    masks: Mapping[Path, Sequence[Path]]
    """The one mask of each."""
    findings: tuple[Finding, ...] = ()


def read_numbered_masks(root: Path, pictures: Sequence[Path]) -> NumberedMasks:
    """Finds the pictures whose masks, of the same names in one folder of masks, number objects."""
    in_masks = [picture for picture in pictures if role_of(picture.parent).holds == "masks"]
    outside = set(pictures) - set(in_masks)
    names = PictureNames(sorted(outside))
    mask_of: dict[Path, dict[Path, Path]] = {}
    for mask in in_masks:
        own = [picture for picture in names.find(mask.name, mask) if share_a_split(mask.parent, picture.parent)]
        if len(own) == 1:
            mask_of.setdefault(mask.parent, {})[own[0]] = mask
    numbered = [found for place, own in mask_of.items() if (found := _numbered(root, place, own)) is not None]
    return numbered[0] if len(numbered) == 1 else NumberedMasks(annotated={}, masks={})


def _numbered(root: Path, place: Path, mask_of: Mapping[Path, Path]) -> NumberedMasks | None:
    """Reads the numbered masks of a folder; None if they hold something else."""
    numbers, bad = dict[Path, _Numbers](), list[Finding]()
    for picture, read in zip(mask_of, in_parallel(partial(_read, root), mask_of.items()), strict=True):
        if read is None:
            return None
        if isinstance(read, BadFileError):
            bad.append(read.finding(plain_name(mask_of[picture])))
        else:
            numbers[picture] = read
    num_objects = [own.num_objects for own in numbers.values()]
    total, num_single = sum(num_objects), sum(own.num_single_areas for own in numbers.values())
    is_called = any(word in _INSTANCES for word in role_of(place).whose)
    looks_so = len({*num_objects} - {0}) > 1 and num_single >= _ONE_AREA_SHARE * total
    if max(num_objects, default=0) < 2 or not (is_called or looks_so):
        return None
    how = counted(len(num_objects), "mask numbers its objects", "masks number their objects")
    action = "Read as one object a number, 0 is the ground; check that the numbers are no classes."
    return NumberedMasks(
        annotated={picture: own.annotated for picture, own in numbers.items()},
        masks={picture: [mask_of[picture]] for picture in numbers},
        findings=(note(plain_name(place), f"{how}, 1 to {max(num_objects)}: {total} objects", action), *bad),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Numbers:
    """Objects that one mask numbers."""

    annotated: AnnotationFile
    num_objects: int
    num_single_areas: int
    """Number of objects in one piece."""


def _read(root: Path, picture_and_mask: tuple[Path, Path]) -> _Numbers | BadFileError | None:
    """Reads a numbered mask; None unless its values are 0 to the number of objects without gaps."""
    picture, mask = picture_and_mask
    try:
        image = read_upright(root / mask)
    except BadFileError as error:
        return error
    pixels = np.asarray(image)
    if image.format == "JPEG" or pixels.ndim != 2 or pixels.dtype.kind not in "bui":
        return None
    pixels = pixels.astype(np.int32)
    values = np.unique(pixels[pixels != 0])
    if not np.array_equal(values, np.arange(1, len(values) + 1)):
        return None
    annotated, num_single = AnnotationFile(), 0
    annotated.picture(picture.name)
    for number, window in enumerate(ndimage.find_objects(pixels), start=1):
        num_single += ndimage.label(pixels[window] == number, _TOUCHING)[1] == 1
        place = f"number {number}"
        annotated.add(picture.name, place, partial(object_from_mask, UNNAMED, pixels == number, place=place))
    return _Numbers(annotated=annotated, num_objects=len(values), num_single_areas=num_single)
