"""Each image with its mask, by name: never by order."""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

from trainable.data.image_mask.roles import OBSERVER, bare_image_name, bare_mask_name, barest_image_name
from trainable.data.io.findings import Finding
from trainable.data.io.folder_layout import plain_name
from trainable.data.splitting.split_names import share_a_split

_COMPANION = re.compile(r"(?P<of>.+)_(color|instanceIds|labelTrainIds|instanceTrainIds)")
Key = Callable[[Path], Hashable]
_KEYS: tuple[tuple[Key, Key], ...] = (
    (lambda image: plain_name(image.with_suffix("")), lambda mask: plain_name(mask.with_suffix(""))),
    (
        lambda image: (plain_name(image.parent), bare_image_name(plain_name(image.stem))),
        lambda mask: (plain_name(mask.parent), bare_mask_name(plain_name(mask.stem))),
    ),
    (lambda image: bare_image_name(plain_name(image.stem)), lambda mask: bare_mask_name(plain_name(mask.stem))),
    (lambda image: barest_image_name(plain_name(image.stem)), lambda mask: bare_mask_name(plain_name(mask.stem))),
)
"""The whole name; the bare name in a folder of the same name; the bare name in whichever folder; the barest one."""


def match_by_name(images: Sequence[Path], masks: Sequence[Path]) -> dict[Path, Path]:
    """The mask of each image that has one; both lie below folders of their own.

    What several images or several masks are called matches nothing, nor do two of different splits.
    """
    mask_of: dict[Path, Path] = {}
    for image_key, mask_key in _KEYS:
        taken = set(mask_of.values())
        image_called = _only([image for image in images if image not in mask_of], image_key)
        mask_called = _only([mask for mask in masks if mask not in taken], mask_key)
        for name, image in image_called.items():
            mask = mask_called.get(name)
            # Numbers begin again in each split: `test/7.png` is not the mask of `train/7.jpg`.
            if mask is not None and share_a_split(image.parent, mask.parent):
                mask_of[image] = mask
    return mask_of


def without_companions(masks: Sequence[Path]) -> list[Path]:
    """The masks without what Cityscapes has beside each `a_labelIds.png`: colours, and numbers of instances."""
    known = set(masks)
    companions = {
        mask
        for mask in masks
        if (name := _COMPANION.fullmatch(mask.stem)) and mask.with_stem(f"{name['of']}_labelIds") in known
    }
    return [mask for mask in masks if mask not in companions]


def first_observers(masks: Sequence[Path], images: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Divides masks, or folders of them, into those of first observers and those of later ones.

    A mask that has the whole name of an image is of that image.
    """
    own_names = {image.stem.casefold() for image in images}
    numbers: dict[tuple[Path, str], dict[Path, int]] = {}
    for mask in masks:
        if (seen_by := OBSERVER.fullmatch(mask.stem)) and mask.stem.casefold() not in own_names:
            same = numbers.setdefault((mask.parent, (seen_by["of"] or "").casefold()), {})
            same[mask] = int(seen_by["first"] or seen_by["last"])
    later = {mask for same in numbers.values() for mask, number in same.items() if number > min(same.values())}
    return [mask for mask in masks if mask not in later], [mask for mask in masks if mask in later]


def unmatched(
    place: Path, images: Sequence[Path], mask_place: Path, masks: Sequence[Path], mask_of: dict[Path, Path]
) -> list[Finding]:
    """An error for every image without a mask, and for every mask without an image."""
    names, taken = sorted(mask.stem for mask in masks), set(mask_of.values())
    several: dict[tuple[Path, str], list[Path]] = {}
    for mask in masks:
        several.setdefault((mask.parent, bare_mask_name(plain_name(mask.stem))), []).append(mask)
    without_mask = []
    for image in (image for image in images if image not in mask_of):
        own = several.get((image.parent, bare_image_name(plain_name(image.stem))), [])
        if len(own) > 1:
            taken.update(own)
            without_mask.append(_several_masks(place / image, own))
        else:
            without_mask.append(_missing_mask(place / image, mask_place, names))
    without_image = [
        Finding(
            file=plain_name(mask_place / mask),
            problem=f"has no image: {plain_name(place.name)} holds no {plain_name(mask.stem)}",
            action="Add the image, or remove the mask.",
        )
        for mask in masks
        if mask not in taken
    ]
    return without_mask + without_image


def without_twins(place: Path, files: Sequence[Path]) -> tuple[list[Path], list[Finding]]:
    """The first of the files of each name, and an error for every other."""
    first: dict[str, Path] = {}
    findings = []
    for file in files:
        one = first.setdefault(plain_name(file.with_suffix("")), file)
        if one != file:
            problem = f"has the same name as {plain_name(one.name)}"
            findings.append(Finding(file=plain_name(place / file), problem=problem, action="Keep one of the two."))
    return list(first.values()), findings


def _only(files: Sequence[Path], key: Key) -> dict[Hashable, Path]:
    """Maps each key to its file; keys that several files share are left out."""
    names = [key(file) for file in files]
    counts = Counter(names)
    return {name: file for name, file in zip(names, files, strict=True) if counts[name] == 1}


def _several_masks(image: Path, own: Sequence[Path]) -> Finding:
    return Finding(
        file=plain_name(image),
        problem=f"has {len(own)} masks: {' and '.join(plain_name(mask.name) for mask in own)}",
        action="Keep the one that is the truth, or unite them; of numbered observers, such as a_1stHO and a_2ndHO, the "
        "first is taken.",
    )


def _missing_mask(image: Path, mask_place: Path, mask_names: list[str]) -> Finding:
    stem = image.stem
    at = bisect_left(mask_names, stem)
    near = mask_names[at] if at < len(mask_names) and mask_names[at].startswith(stem) else None
    if near == stem:
        return Finding(
            file=plain_name(image),
            problem=f"has no mask: {plain_name(mask_place.name)} holds no {plain_name(stem)} for it alone, but one "
            "that may be of several images, or is of another split",
            action="Put the masks into folders named as those of the images, or give each image another name.",
        )
    hint = f"; there is {plain_name(near)}, but names must be equal" if near else ""
    return Finding(
        file=plain_name(image),
        problem=f"has no mask: {plain_name(mask_place.name)} holds no {plain_name(stem)}{hint}",
        action="Add the mask under the image's name, or remove the image.",
    )
