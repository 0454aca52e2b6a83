"""The files of one folder, matched and hashed, none of them decoded, and how they are to be read."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from trainable.data.image_mask.leakage import without_known_leaks
from trainable.data.image_mask.mask_values import levels_of
from trainable.data.image_mask.pair_findings import only_lack_masks
from trainable.data.image_mask.pairs import Pair, Pairs, find_pairs
from trainable.data.io.decoding import MIN_SIDE_PX
from trainable.data.io.files import content_digests
from trainable.data.io.findings import DataError, Finding
from trainable.data.io.splits import DivisionOptions, group_ids
from trainable.data.splitting.copies import source_files
from trainable.data.splitting.group_tables import stated_groups

Outlined = Callable[[Path, Sequence[str]], Pairs | None]
"""Finds the images of a folder whose objects are outlined, of these labels or, with none, of all; None where there are
none."""


def no_outlines(root: Path, labels: Sequence[str]) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderOptions(DivisionOptions):
    """How a folder is read; all of it is part of the cache's key."""

    image_size: tuple[int, int] | None = None
    """Height and width in pixels of the cached images, from 16; None keeps a shape that all share, else a square."""
    long_side_px: int = 240
    """Longest side when there is no `image_size`, from 16; small images are not enlarged to it."""
    inverted_masks: bool | None = None
    """True: 255 is the background. False: it is the object, however large. None: it is the object, and masks that
    look otherwise are an error."""
    foreground_values: tuple[str, ...] = ()
    """Grey levels (`255`) and colours (`255/0/0`) of masks, or labels of outlines, that are the object; none: what is
    above 127, or inside any outline."""

    def __post_init__(self) -> None:
        if self.image_size is not None and min(self.image_size) < MIN_SIDE_PX:
            raise ValueError(f"image_size is {self.image_size}, but height and width must be at least {MIN_SIDE_PX}.")
        if self.long_side_px < MIN_SIDE_PX:
            raise ValueError(f"long_side_px is {self.long_side_px}, but must be at least {MIN_SIDE_PX}.")
        if self.foreground_values and self.inverted_masks is not None:
            raise ValueError("foreground_values say what the object is; give them, or --inverted-masks, not both.")
        self.check_division()


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSource:
    """One folder as `FolderOptions` reads it."""

    root: Path
    pairs: list[Pair]
    findings: list[Finding]
    """Findings on files that do not match."""
    digests: dict[Path, str]
    """sha256 of each file."""
    groups: list[str]
    """The source of each pair, which is all in one split."""
    options: FolderOptions

    @classmethod
    def find(cls, root: Path, options: FolderOptions, cache_dir: Path, *, outlined: Outlined = no_outlines) -> Self:
        pairs, mismatches = _with_masks(root, options, outlined)
        if any(pair.drawn for pair in pairs):
            # They have chosen among the labels, and their inside is the object, however large.
            options = replace(options, foreground_values=(), inverted_masks=False)
        pairs, leaks = without_known_leaks(pairs)
        digests = content_digests(root, [file for pair in pairs for file in (pair.image, *pair.masks)], cache_dir)
        contents = [digests[pair.image] for pair in pairs]
        # Each is named by the pair that it was made from; a pattern looks for itself.
        images, name_of = [pair.image for pair in pairs], {pair.image: pair.name for pair in pairs}
        made_from = source_files(images) if options.group_pattern is None else images
        names, about = [name_of[image] for image in made_from], list[Finding]()
        if options.group_pattern is None:
            stated, about = stated_groups(root, made_from, [pair.split for pair in pairs])
            names = [f"group {group}" if group else name for name, group in zip(names, stated, strict=True)]
        groups = group_ids(names, contents, options.group_pattern)
        findings = mismatches + leaks + about
        return cls(root=root, pairs=pairs, findings=findings, digests=digests, groups=groups, options=options)

    def key(self) -> str:
        """Key of the cache. Files without a partner count: a folder with errors never finds that of its good part."""
        pairs = [
            (pair.name, pair.image, *pair.masks, pair.split, self.digests[pair.image], self._mask_digests(pair))
            for pair in self.pairs
        ]
        content = [pairs, self.groups, asdict(self.options), [asdict(finding) for finding in self.findings]]
        return hashlib.sha256(json.dumps(content, default=Path.as_posix).encode()).hexdigest()[:32]

    def content(self, pair: Pair) -> str:
        """sha256 of the pair: its files, and which values of the mask are the object."""
        polarity = "inverted" if self.options.inverted_masks else " ".join(self.options.foreground_values) or "plain"
        return hashlib.sha256(f"{self.digests[pair.image]} {self._mask_digests(pair)} {polarity}".encode()).hexdigest()

    def _mask_digests(self, pair: Pair) -> str:
        return pair.drawn.digest if pair.drawn else " ".join(self.digests[mask] for mask in pair.masks)


def _with_masks(root: Path, options: FolderOptions, outlined: Outlined) -> Pairs:
    """The pairs of the folder; where there are no pictures of masks, those of outlines, if there are any."""
    try:
        found = find_pairs(root)
    except DataError:
        if (drawn := outlined(root, options.foreground_values)) is None:
            raise
    else:
        has_masks = found[0] or not only_lack_masks(found[1])
        if has_masks or (drawn := outlined(root, options.foreground_values)) is None:
            for value in options.foreground_values:
                levels_of(value)
            return found
    if options.inverted_masks:
        raise DataError(
            f"{root} has outlines, whose inside is the object, and no pictures of masks: leave out --inverted-masks."
        )
    return drawn
