"""Checks, divides, decodes and resizes the files of one folder into an empty cache folder.

Each file is decoded once: the masks first, for the division goes by what they show, then the images.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np

from trainable.data.image_mask.folder_source import FolderSource
from trainable.data.image_mask.image_mask_set import SPLIT_NAMES
from trainable.data.image_mask.leakage import check_leakage
from trainable.data.image_mask.mask_check import (
    MaskFacts,
    binarise,
    check_conventions,
    check_image,
    check_polarity,
    check_size,
    describe_foreground,
    facts_of,
)
from trainable.data.image_mask.pairs import Pair
from trainable.data.io.copies import check_copies_across_parts
from trainable.data.io.decoding import Header, fitting_size, read_header, read_upright, shrink_image, shrink_mask
from trainable.data.io.files import Ticker, in_parallel
from trainable.data.io.findings import BadFileError, DataError, Finding, errors_among, write_findings
from trainable.data.io.folder_layout import plain_name
from trainable.data.io.image_cache import Sample, require_space, write_splits
from trainable.data.io.lookalikes import Look, check_lookalikes, signature
from trainable.data.io.parts import keep_named_parts
from trainable.data.io.splits import stratified_group_split

_BYTES_PER_PIXEL = 4


def build_folder(source: FolderSource, on_progress: Callable[[int, int], None] | None, folder: Path) -> None:
    """Reads every file even after the first bad one, so that all problems are told at once.

    Raises:
        DataError: with a table of them.
    """
    tick = Ticker(2 * len(source.pairs), on_progress)
    inspections = list(in_parallel(partial(_inspect, source), source.pairs, tick))
    findings = source.findings + [finding for inspection in inspections for finding in inspection.findings]
    facts = [inspection.facts for inspection in inspections if inspection.facts]
    findings += check_conventions(facts) + check_polarity(facts, source.options.inverted_masks)
    findings += describe_foreground(facts)
    parts, division_findings = _divide(source, inspections) if source.pairs else ([], [])
    findings += division_findings + check_copies_across_parts([pair.image for pair in source.pairs], parts)
    sizes = [inspection.header.size for inspection in inspections if inspection.header]
    size = source.options.image_size or fitting_size(sizes, source.options.long_side_px)
    looks: list[Look] = []
    require_space(folder, len(source.pairs) * size[0] * size[1] * _BYTES_PER_PIXEL)

    def samples(part: str) -> Iterator[Sample]:
        rows = [row for row, own in enumerate(parts) if own == part]
        masked = [(source.pairs[row], inspections[row].mask) for row in rows]
        for result in in_parallel(partial(_decode, source, size), masked, tick):
            if isinstance(result, Finding):
                findings.append(result)
            elif result is not None:
                looks.append((result.name, part, signature(result.image)))
                yield result

    write_splits(folder, {part: samples(part) for part in SPLIT_NAMES}, size)
    findings += check_lookalikes(looks)
    findings = list(dict.fromkeys(findings))
    _raise_errors(source, findings)
    write_findings(folder, findings)


@dataclass(frozen=True, slots=True)
class _PackedMask:
    """A mask on its way from its check into the cache, so small that those of a whole folder fit into memory."""

    shape: tuple[int, ...]
    bits: bytes

    @classmethod
    def of(cls, mask: np.ndarray) -> Self:
        return cls(mask.shape, zlib.compress(np.packbits(mask).tobytes(), level=1))

    def unpacked(self) -> np.ndarray:
        """uint8 0 or 1, shape (h, w)."""
        bits = np.frombuffer(zlib.decompress(self.bits), np.uint8)
        return np.unpackbits(bits, count=int(np.prod(self.shape))).reshape(self.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inspection:
    header: Header | None
    mask: _PackedMask | None
    """None when it can't be used, which a finding says."""
    facts: MaskFacts | None
    findings: list[Finding]


def _inspect(source: FolderSource, pair: Pair) -> _Inspection:
    header, packed, facts, findings = None, None, None, []
    image_file, mask_file = plain_name(pair.image), plain_name(pair.mask)
    try:
        header = read_header(source.root / pair.image)
        findings += check_image(header, image_file)
    except BadFileError as error:
        findings.append(error.finding(image_file))
    try:
        upright = read_upright(source.root / pair.mask)
        mask, warnings = binarise(upright, mask_file, inverted=bool(source.options.inverted_masks))
        brightest = int(np.asarray(upright.convert("L")).max())
        packed, facts = _PackedMask.of(mask), facts_of(mask, mask_file, brightest=brightest)
        findings += warnings
    except BadFileError as error:
        findings.append(error.finding(mask_file))
    if header and facts:
        findings += check_size(header.size, mask.shape, mask_file)
    return _Inspection(header=header, mask=packed, facts=facts, findings=findings)


def _divide(source: FolderSource, inspections: Sequence[_Inspection]) -> tuple[list[str], list[Finding]]:
    """The part of each pair: what its folder says, else by the split; a part with its own folder takes no others."""
    findings = check_leakage(source.pairs, source.groups, source.digests)
    named = [pair.split for pair in source.pairs]

    def deal(rows: list[int], shares: Mapping[str, float]) -> list[str]:
        facts = [inspections[row].facts for row in rows]
        foregrounds = [fact.foreground if fact else 0.0 for fact in facts]
        groups = [source.groups[row] for row in rows]
        return stratified_group_split(groups, foregrounds, shares, seed=source.options.split_seed)

    try:
        return keep_named_parts(named, source.options.fractions, deal), findings
    except ValueError as error:
        action = "Add images, or give the folder above a train and a test folder."
        failed = Finding(file="all images", problem=str(error), action=action)
        return [part or "train" for part in named], [*findings, failed]


def _decode(
    source: FolderSource, size: tuple[int, int], masked: tuple[Pair, _PackedMask | None]
) -> Sample | Finding | None:
    """None where the mask was no use; the image is decoded all the same, so that all problems are told."""
    pair, packed = masked
    try:
        image = shrink_image(read_upright(source.root / pair.image, least_px=max(size)), size)
    except BadFileError as error:
        return error.finding(plain_name(pair.image))
    if packed is None:
        return None
    mask = packed.unpacked()
    return Sample(
        name=pair.name,
        image=image,
        mask=shrink_mask(mask, size),
        native_mask=mask,
        digest=source.content(pair),
    )


def _raise_errors(source: FolderSource, findings: Sequence[Finding]) -> None:
    errors = errors_among(findings)
    if errors:
        what = "1 problem" if len(errors) == 1 else f"{len(errors)} problems"
        raise DataError(
            f"{source.root} cannot be used: {what} in {len(source.pairs)} pairs of image and mask.", findings
        )
