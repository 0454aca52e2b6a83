"""Checks, divides, decodes and resizes the files of one folder into an empty cache folder.

Each file is decoded once, the masks first; both wait on disk, since the division goes by what they show.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np

from trainable.data.image_mask.folder_source import FolderSource
from trainable.data.image_mask.image_mask_set import Sample, write_splits
from trainable.data.image_mask.leakage import check_leakage
from trainable.data.image_mask.mask_check import (
    MaskFacts,
    binarise,
    check_conventions,
    check_image,
    check_polarity,
    check_size,
    describe_foreground,
    describe_values,
    facts_of,
)
from trainable.data.image_mask.mask_values import in_eight_bits
from trainable.data.image_mask.pairs import DrawnMask, Pair
from trainable.data.io.counted import counted, wide_by_high
from trainable.data.io.decoding import (
    Header,
    check_mask_turns,
    check_turns,
    fitting_size,
    num_pixels,
    read_header,
    read_upright,
    shrink_image,
    shrink_mask,
)
from trainable.data.io.files import Ticker, in_parallel
from trainable.data.io.findings import BadFileError, Finding, Severity, refuse_errors, write_findings
from trainable.data.io.folder_layout import plain_name
from trainable.data.io.image_cache import require_space
from trainable.data.io.splits import SPLIT_NAMES, stratified_group_split
from trainable.data.splitting.copies import check_copies_across_splits
from trainable.data.splitting.decoded_pictures import ArrayFile, Stored, array_file, decode_pictures
from trainable.data.splitting.division import divide_pictures
from trainable.data.splitting.lookalikes import check_lookalikes

_BYTES_PER_PIXEL = 4


def build_folder(source: FolderSource, on_progress: Callable[[int, int], None] | None, folder: Path) -> None:
    """Reads every file even after the first bad one, so that all problems are reported at once.

    Raises:
        DataError: with a table of them.
    """
    tick = Ticker(2 * len(source.pairs), on_progress)
    with array_file(folder) as decoded:
        inspect = partial(_inspect, source, decoded)
        inspected = in_parallel(
            inspect, source.pairs, tick, num_pixels=lambda pair: num_pixels(source.root / pair.mask)
        )
        inspections = list(inspected)
        sizes = [inspection.header.size for inspection in inspections if inspection.header]
        size = source.options.image_size or fitting_size(sizes, source.options.long_side_px)
        require_space(folder, 2 * len(source.pairs) * size[0] * size[1] * _BYTES_PER_PIXEL)
        images, looks = decode_pictures(
            partial(_decode, source, size),
            source.pairs,
            tick,
            decoded,
            num_pixels=lambda pair: num_pixels(source.root / pair.image),
        )
        splits, findings = _divide(source, inspections, looks)
        findings = [*source.findings, *_check_masks(source, inspections), *findings]
        findings += [image for image in images if isinstance(image, Finding)]
        findings = list(dict.fromkeys(findings))
        refuse_errors(
            findings, source.root, counted(len(source.pairs), "pair of image and mask", "pairs of image and mask")
        )

        def samples(split: str) -> Iterator[Sample]:
            for row in (row for row, own in enumerate(splits) if own == split):
                image, mask = images[row], inspections[row].mask
                assert isinstance(image, Stored), image
                assert mask is not None, source.pairs[row].name
                yield _sample(source, row, decoded.read(image), mask.read(decoded))

        write_splits(folder, {split: samples(split) for split in SPLIT_NAMES}, size)
    write_findings(folder, findings)


@dataclass(frozen=True, slots=True)
class _StoredMask:
    """A mask on its way from its check into the cache, one bit a pixel."""

    size: tuple[int, int]
    """Height and width in pixels."""
    bits: Stored

    @classmethod
    def of(cls, mask: np.ndarray, file: ArrayFile) -> Self:
        return cls((mask.shape[0], mask.shape[1]), file.append(np.packbits(mask)))

    def read(self, file: ArrayFile) -> np.ndarray:
        """uint8 0 or 1, shape (h, w)."""
        height, width = self.size
        return np.unpackbits(file.read(self.bits), count=height * width).reshape(height, width)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inspection:
    header: Header | None
    mask: _StoredMask | None
    """None when it can't be used, which a finding says."""
    facts: MaskFacts | None
    turned_masks: tuple[Path, ...]
    """Those that EXIF turns otherwise than the image."""
    findings: tuple[Finding, ...]


def _inspect(source: FolderSource, decoded: ArrayFile, pair: Pair) -> _Inspection:
    header, stored, facts, findings = None, None, None, []
    image_file, mask_file = plain_name(pair.image), plain_name(pair.mask)
    try:
        header = read_header(source.root / pair.image)
        findings += check_image(header, image_file)
    except BadFileError as error:
        findings.append(error.finding(image_file))
    mask, histogram = _unite_masks(source, pair, findings)
    if mask is not None:
        stored, facts = _StoredMask.of(mask, decoded), facts_of(mask, mask_file, histogram=histogram)
    turned: tuple[Path, ...] = ()
    if header and stored:
        findings += check_size(header, stored.size, mask_file)
        turned = tuple(mask for mask in pair.masks if read_header(source.root / mask).is_turned_unlike(header))
    return _Inspection(header=header, mask=stored, facts=facts, turned_masks=turned, findings=tuple(findings))


def _unite_masks(source: FolderSource, pair: Pair, findings: list[Finding]) -> tuple[np.ndarray | None, list[int]]:
    """Unites the masks of a pair, or gives None if one cannot be used, and counts the pixels of all at each grey level.

    What is wrong with a file is added to the findings.
    """
    if pair.drawn:
        return _draw_mask(pair.drawn, pair, findings)
    inverted, values = bool(source.options.inverted_masks), source.options.foreground_values
    united, num_read, histogram = None, 0, np.zeros(256, np.int64)
    for mask_file in pair.masks:
        try:
            upright = in_eight_bits(read_upright(source.root / mask_file))
            mask, warnings = binarise(upright, plain_name(mask_file), inverted=inverted, foreground_values=values)
            if united is not None and mask.shape != united.shape:
                sizes = f"is {wide_by_high(mask.shape)}, another mask of its image {wide_by_high(united.shape)}"
                raise BadFileError(sizes, "Make all masks of an image the same size.")
            united, num_read = mask if united is None else mask | united, num_read + 1
            histogram += upright.convert("L").histogram()
            findings += warnings
        except BadFileError as error:
            findings.append(error.finding(plain_name(mask_file)))
    return united if num_read == len(pair.masks) else None, histogram.tolist()


def _draw_mask(drawn: DrawnMask, pair: Pair, findings: list[Finding]) -> tuple[np.ndarray | None, list[int]]:
    """The same of a mask that no picture holds: its object counts as white."""
    try:
        mask = drawn.pixels()
    except BadFileError as error:
        findings.append(error.finding(plain_name(pair.image)))
        return None, [0] * 256
    num_object = int(mask.sum())
    return mask, [mask.size - num_object, *[0] * 254, num_object]


def _check_masks(source: FolderSource, inspections: Sequence[_Inspection]) -> list[Finding]:
    """Findings of each file, then of all masks together."""
    facts = [inspection.facts for inspection in inspections if inspection.facts]
    findings = [finding for inspection in inspections for finding in inspection.findings]
    images = zip((pair.image for pair in source.pairs), inspections, strict=True)
    findings += check_turns({image: inspection.header for image, inspection in images if inspection.header})
    turned = [mask for inspection in inspections for mask in inspection.turned_masks]
    findings += check_mask_turns(turned, num_masks=sum(len(pair.masks) for pair in source.pairs))
    if values := source.options.foreground_values:
        return findings + describe_values(facts, values)
    findings += check_conventions(facts) + check_polarity(facts, source.options.inverted_masks)
    return findings + describe_foreground(facts)


def _divide(
    source: FolderSource, inspections: Sequence[_Inspection], looks: np.ndarray
) -> tuple[list[str], list[Finding]]:
    """The split of each pair, and findings about copies.

    The split is what its folder says, else as the folder is divided; a split with its own folder takes no others.
    """
    images, named = [pair.image for pair in source.pairs], [pair.split for pair in source.pairs]
    files = [plain_name(image) for image in images]
    findings = check_leakage(source.pairs, source.groups, source.digests)
    facts = [inspection.facts for inspection in inspections]
    division = images, named, source.groups, looks, source.options, findings
    foregrounds = [fact.foreground if fact else 0.0 for fact in facts]
    try:
        splits = divide_pictures(*division, stratify=stratified_group_split, by=foregrounds) if named else []
    except ValueError as error:
        action = "Add images, or give the folder above a train and a test folder."
        findings.append(Finding(file="all images", problem=str(error), action=action))
        splits = [split or "train" for split in named]
    findings += check_copies_across_splits(images, splits) + check_lookalikes(files, splits, looks)
    return splits, findings + _empty_splits(splits, facts)


def _empty_splits(splits: Sequence[str], facts: Sequence[MaskFacts | None]) -> list[Finding]:
    """A warning for each split whose masks are all empty while those of others are not, as placeholders are."""
    held: dict[str, list[bool]] = {}
    for split, fact in zip(splits, facts, strict=True):
        if fact:
            held.setdefault(split, []).append(fact.foreground > 0)
    return [
        Finding(
            file=split,
            problem=f"holds no object: all of its {counted(len(own), 'mask')} are empty",
            action="Check that they are not placeholders: an empty prediction is right for each of them.",
            severity=Severity.WARNING,
        )
        for split, own in held.items()
        if not any(own) and any(map(any, held.values()))
    ]


def _decode(source: FolderSource, size: tuple[int, int], pair: Pair) -> np.ndarray | Finding:
    try:
        return shrink_image(read_upright(source.root / pair.image, least_px=max(size)), size)
    except BadFileError as error:
        return error.finding(plain_name(pair.image))


def _sample(source: FolderSource, row: int, image: np.ndarray, mask: np.ndarray) -> Sample:
    pair = source.pairs[row]
    return Sample(
        name=pair.name,
        image=image,
        mask=shrink_mask(mask, image.shape[:2]),
        native_mask=mask,
        digest=source.content(pair),
    )
