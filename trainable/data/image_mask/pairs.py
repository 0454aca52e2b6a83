"""Which image belongs to which mask, in the folder layouts that sets of images and masks come in.

A pair of folders lies side by side, at most four levels below the given one: `Imgs` and `GT`, `images` and `labels`,
`DUTS-TR-Image` and `DUTS-TR-Mask`, `train` and `train_masks`, `JPEGImages` and `SegmentationClass`; splits may lie
below them (`images/train`, `masks/train`) or below the images alone. Or image and mask lie in one folder: `a.jpg` and
`a_mask.png`, `a.jpg` and `a.png`. Or `a/masks` holds a mask for each instance on `a/images/a.png`. docs/data.md draws
them. Files are matched by name, never by order, or as a table says that has a column of images and one of masks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from trainable.data.image_mask import pair_findings
from trainable.data.image_mask.matching import (
    first_observers,
    match_by_name,
    unmatched,
    without_companions,
    without_twins,
)
from trainable.data.image_mask.pair_tables import find_tabled_pairs
from trainable.data.image_mask.roles import Role, further_masks, images_and_masks, role_of
from trainable.data.io.findings import DataError, Finding, errors_among
from trainable.data.io.folder_layout import (
    files_below,
    holds_images,
    is_hidden,
    is_image,
    plain_name,
    refuse_dead_links,
    require_folder,
    subfolders,
)
from trainable.data.io.unread import unread_pictures
from trainable.data.splitting.split_lists import LEFT_OUT, named_splits

_MAX_DEPTH = 4


class DrawnMask(Protocol):
    """A mask that no picture holds, such as the outlines of a label tool."""

    @property
    def digest(self) -> str:
        """sha256 of what is drawn."""

    def pixels(self) -> np.ndarray:
        """uint8 0 or 1, in the size of the upright image.

        Raises:
            BadFileError: it can't be drawn.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One image and its mask."""

    name: str
    """Path below the data folder, without the image folder's own name and the ending."""
    image: Path
    """Below the data folder."""
    mask: Path
    """Below the data folder; the image, where the mask is drawn."""
    split: str | None = None
    """The split that a folder's name or a list says: train, validation, test; None when nothing does."""
    more_masks: tuple[Path, ...] = ()
    """Masks of further instances on the image, below the data folder; a pixel of any of them is object."""

    drawn: DrawnMask | None = None
    """In place of pictures of masks."""

    @property
    def masks(self) -> tuple[Path, ...]:
        """The pictures of masks; none where the mask is drawn."""
        return () if self.drawn else (self.mask, *self.more_masks)


Pairs = tuple[list[Pair], list[Finding]]
"""Pairs, and findings about their files."""


@dataclass(frozen=True, slots=True)
class FolderPair:
    """A folder of images and that of their masks, which may be the same one; all below the data folder."""

    images: Path
    masks: Path
    name: Path
    """Prefix of the names of its pairs."""


def find_pairs(root: Path) -> Pairs:
    """All pairs below the folder in order of name, what was read as what, and what does not match.

    Raises:
        DataError: there is no folder, or no pair of folders in it.
    """
    require_folder(root, pair_findings.EXPECTED)
    files = files_below(root)
    refuse_dead_links(root, files)
    findings = unread_pictures(files)
    tabled, of_tables = find_tabled_pairs(root, files)
    if tabled:
        pairs = [Pair(name=plain_name(image.with_suffix("")), image=image, mask=tabled[image][0]) for image in tabled]
        findings += of_tables
    else:
        try:
            pairs = _pairs_of_folders(root, findings)
        except DataError as error:
            raise DataError(str(error), of_tables) from error
    if not pairs:
        return [], findings
    pairs.sort(key=lambda pair: pair.name)
    described_in = [
        [*(table.with_suffix("") for table in (tabled[pair.image][1] if tabled else ())), pair.mask.parent]
        for pair in pairs
    ]
    splits, beside = named_splits(root, [pair.image for pair in pairs], described_in)
    kept = [replace(pair, split=split) for pair, split in zip(pairs, splits, strict=True) if split != LEFT_OUT]
    return kept, findings + beside


def _pairs_of_folders(root: Path, findings: list[Finding]) -> list[Pair]:
    """Pairs images and masks by name; adds what was read and what does not match to the findings."""
    pairs: list[Pair] = []
    folders = list(_folder_pairs(root, Path(), findings))
    for folder_pair in folders:
        matched, problems = _pairs_in(root, folder_pair)
        pairs += matched
        findings += problems
        if matched:
            num_masks = sum(len(pair.masks) for pair in matched)
            findings.append(pair_findings.read_as(folder_pair.images, folder_pair.masks, len(matched), num_masks))
    if not pairs and not errors_among(findings):
        findings += pair_findings.images_without_masks(root, _MAX_DEPTH)
    if pairs:
        known, read = {one.file for one in findings}, [(pair.images, pair.masks) for pair in folders]
        findings += [one for one in pair_findings.left_out(root, read) if one.file not in known]
    return pairs


def _folder_pairs(root: Path, place: Path, findings: list[Finding]) -> Iterator[FolderPair]:
    """Yields pairs of folders in a folder and below it; adds misleading ones to the findings."""
    roles = {place / child.name: role_of(child) for child in subfolders(root, place)}
    beside = list(_side_by_side(root, place, roles, findings))
    yield from beside
    read = {folder for pair in beside for folder in (pair.images, pair.masks)}
    if _holds_both(root, place):
        yield FolderPair(place, place, place)
    # The depth limit ends walks through a whole disk.
    for child in roles if len(place.parts) < _MAX_DEPTH else ():
        if child not in read:
            yield from _folder_pairs(root, child, findings)


def _side_by_side(root: Path, place: Path, roles: dict[Path, Role], findings: list[Finding]) -> Iterator[FolderPair]:
    marked = {child: role for child, role in roles.items() if role.holds in ("masks", "targets")}
    filled = {child: role for child, role in marked.items() if holds_images(root, child)}
    for whose in sorted({role.whose for child, role in marked.items() if role.holds == "masks" or child in filled}):
        masks = [child for child, role in filled.items() if role == Role("masks", whose)]
        masks = masks or [child for child, role in filled.items() if role == Role("targets", whose)]
        masks, of_later_observers = first_observers(masks, [])
        if of_later_observers:
            findings.append(pair_findings.later_observers(place, of_later_observers))
        images = [child for child, role in roles.items() if role == Role("images", whose)]
        if not masks:
            alone = [child for child in images if holds_images(root, child) and not _holds_both(root, child)]
            findings += [pair_findings.without_masks(root, child) for child in alone]
            continue
        images = images or [child for child, role in roles.items() if role == Role(None, whose)]
        if len(images) == len(masks) == 1:
            yield FolderPair(images[0], masks[0], images[0] if whose else place)
        elif images:
            what, several = ("image", images) if len(images) > 1 else ("mask", masks)
            problem = f"holds more than one {what} folder: {', '.join(plain_name(child.name) for child in several)}"
            findings.append(Finding(file=plain_name(place), problem=problem, action=f"Keep one {what} folder there."))


def _holds_both(root: Path, place: Path) -> bool:
    """Whether images and their masks lie directly in a folder."""
    return bool(images_and_masks(_pictures(root, place))[1])


def _pictures(root: Path, place: Path) -> list[Path]:
    """Pictures directly in a folder."""
    return sorted(Path(file.name) for file in (root / place).iterdir() if is_image(file) and not is_hidden(file.name))


def _pairs_in(root: Path, folders: FolderPair) -> tuple[list[Pair], list[Finding]]:
    if folders.images == folders.masks:
        images, masks = images_and_masks(_pictures(root, folders.images))
    else:
        images, masks = (list(filter(is_image, files_below(root, own))) for own in (folders.images, folders.masks))
    findings: list[Finding] = []
    images, masks = (
        _whole(root, place, files, findings) for place, files in ((folders.images, images), (folders.masks, masks))
    )
    masks, of_later_observers = first_observers(without_companions(masks), images)
    if of_later_observers:
        findings.append(pair_findings.later_observers(folders.masks, of_later_observers))
    if not images:
        return [], [*findings, pair_findings.no_image(folders.images)]
    # Where the folder of both is named as its one image, all masks are of it.
    if masks and len(images) == 1 and images[0].with_suffix("") == Path(folders.images.parent.name):
        return [_sample(folders, images[0], masks)], findings
    own_names = {image.with_suffix("") for image in images}
    further = further_masks([mask for mask in masks if mask.with_suffix("") not in own_names])
    masks = sorted(set(masks).difference(*further.values()))
    mask_of = match_by_name(images, masks)
    unpaired = unmatched(folders.images, images, folders.masks, masks, mask_of)
    if folders.masks.name.lower().startswith("segmentationclass"):
        unpaired = pair_findings.without_segmentation(folders.images, len(images) - len(mask_of))
    pairs = [
        Pair(
            name=plain_name(folders.name / image.with_suffix("")),
            image=folders.images / image,
            mask=folders.masks / mask,
            more_masks=tuple(folders.masks / part for part in further.get(mask, ())),
        )
        for image, mask in mask_of.items()
    ]
    return pairs, findings + unpaired


def _sample(folders: FolderPair, image: Path, masks: Sequence[Path]) -> Pair:
    first, *others = (folders.masks / mask for mask in masks)
    return Pair(
        name=plain_name(folders.name / image.with_suffix("")),
        image=folders.images / image,
        mask=first,
        more_masks=tuple(others),
    )


def _whole(root: Path, place: Path, files: Sequence[Path], findings: list[Finding]) -> list[Path]:
    """Existing files, one of each name; adds the others to the findings."""
    there = []
    for file in files:
        if (root / place / file).is_file():
            there.append(file)
        else:
            is_link = (root / place / file).is_symlink()
            problem = "is a link to a file that is not there" if is_link else "is not a file"
            action = "Restore the file, or remove it."
            findings.append(Finding(file=plain_name(place / file), problem=problem, action=action))
    kept, twins = without_twins(place, there)
    findings += twins
    return kept
