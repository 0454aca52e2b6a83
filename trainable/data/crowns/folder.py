"""A folder of aerial images with mixed annotations, checked, split by image, cut into tiles and cached.

Crowns come from files of any of the forms of trainable.data.annotations; semantic classes from label images of
the same name in a folder `semantic`, or beside a folder `x` in `xannot`. What an image lacks is not trained on it.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from trainable.data.annotations.object_counts import CountedObject, check_edges, count_objects
from trainable.data.annotations.objects.shapes import ObjectShape
from trainable.data.annotations.sources import AnnotatedFolder, AnnotatedImage, find_sources, with_stated_groups
from trainable.data.crowns.crown_counts import (
    DROPPED,
    ONE_KIND,
    check_splits,
    describe_crowns,
    named_crowns,
    nothing_left,
)
from trainable.data.crowns.crown_set import VOID, Tile, open_tiles, write_tiles
from trainable.data.crowns.label_images import read_label_image, semantic_classes
from trainable.data.crowns.tiling import tiles_of
from trainable.data.io.decoding import read_upright, shrink_image
from trainable.data.io.files import Ticker, content_digests, in_parallel
from trainable.data.io.findings import BadFileError, DataError, Finding, errors_among, read_findings, write_findings
from trainable.data.io.folder_layout import plain_name
from trainable.data.io.image_cache import cached_folder, default_cache_dir
from trainable.data.io.splits import SPLIT_NAMES, DivisionOptions, Splits, group_ids, stratified_group_split
from trainable.data.splitting.copies import check_copies, check_copies_across_splits, source_files
from trainable.data.splitting.division import divide_pictures
from trainable.data.splitting.lookalikes import check_lookalikes, signature

_BYTES_PER_PIXEL = 8
"""Image and classes, with what the overlap adds."""
_LOOK_PX = 128
"""Side of the copy that images are compared in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrownFolderOptions(DivisionOptions):
    """How a folder is read; all of it is part of the cache's key."""

    tile_px: int = 256
    """Side of the tiles, a multiple of 32."""
    overlap_px: int = 64
    """How far neighbouring tiles reach into each other, less than tile_px."""
    one_kind: bool = False
    """Every crown counts as of one kind, whatever it is labelled."""
    void_label: int = VOID
    """Label of pixels without a class in the label images, 0 to 255."""

    def __post_init__(self) -> None:
        if self.tile_px < 32 or self.tile_px % 32:
            raise ValueError(f"tile_px is {self.tile_px}; give a multiple of 32.")
        if not 0 <= self.overlap_px < self.tile_px:
            raise ValueError(f"overlap_px is {self.overlap_px}; it must be 0 or more and less than tile_px.")
        if not 0 <= self.void_label <= VOID:
            raise ValueError(f"void_label is {self.void_label}; it must be from 0 to {VOID}.")
        self.check_division()


def open_crown_folder(
    root: Path,
    options: CrownFolderOptions,
    *,
    cache_dir: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Splits:
    """The folder as `CrownSet`s, through the cache, with warnings and notes.

    `on_progress(done, total)` is called while images are cut.

    Raises:
        DataError: with a table of everything that must be put right first.
        CacheError: the cache folder is full or cannot be written.
    """
    cache_dir = cache_dir or default_cache_dir()
    sources = find_sources(root)
    if options.group_pattern is None:
        sources = with_stated_groups(sources)
    digests = content_digests(root, sources.files, cache_dir)
    key = _key(sources, options, digests)
    build = partial(_build, sources, options, digests, on_progress)
    needed_bytes = _BYTES_PER_PIXEL * sum(image.num_pixels for image in sources.images)
    folder = cached_folder(key, cache_dir, build, needed_bytes=needed_bytes)
    return replace(open_tiles(folder), findings=read_findings(folder))


def _key(sources: AnnotatedFolder, options: CrownFolderOptions, digests: Mapping[Path, str]) -> str:
    """Key of the cache. It covers findings, and splits, which lists may name that are no annotations."""
    splits = [(image.file.as_posix(), image.split, image.group) for image in sources.images]
    findings = [asdict(finding) for finding in sources.findings]
    files = sorted((file.as_posix(), digest) for file, digest in digests.items())
    everything = json.dumps([asdict(options), files, splits, findings])
    return "tiles-" + hashlib.sha256(everything.encode()).hexdigest()[:24]


def _build(
    sources: AnnotatedFolder,
    options: CrownFolderOptions,
    digests: Mapping[Path, str],
    on_progress: Callable[[int, int], None] | None,
    folder: Path,
) -> None:
    splits, copies = _divide(sources, options, digests, _looks(sources))
    images, findings = named_crowns(sources.images, one_kind=options.one_kind)
    labels = sorted({shape.label for image in images for shape in image.shapes or ()})
    kinds = (ONE_KIND,) if options.one_kind or not labels else tuple(labels)
    label_images = [image.label_image for image in images if image.label_image is not None]
    classes, class_findings = semantic_classes(sources.root, label_images, options.void_label)
    findings = [*sources.findings, *copies, *findings, *class_findings, *describe_crowns(images), *check_edges(images)]
    if errors_among(class_findings):
        raise DataError(f"{sources.root} cannot be used.", findings)
    tick, dropped = Ticker(len(images), on_progress), list[CountedObject]()
    shown: dict[str, set[str]] = {split: set() for split in SPLIT_NAMES}

    def tiles(split: str) -> Iterator[Tile]:
        own = [image for image, its_split in zip(images, splits, strict=True) if its_split == split]
        cut = partial(_cut, sources.root, options=options, kinds=kinds)
        for image, result in zip(
            own, in_parallel(cut, own, tick, num_pixels=lambda image: image.num_pixels), strict=True
        ):
            if isinstance(result, BadFileError):
                findings.append(result.finding(image.file.as_posix()))
                continue
            dropped.extend((image, shape, reason) for shape, reason in result.dropped)
            for tile in result.tiles:
                shown[split] |= tile.shown(kinds, classes)
                yield tile

    cut_tiles = {split: tiles(split) for split in SPLIT_NAMES}
    num_tiles = write_tiles(folder, cut_tiles, kinds=kinds, semantic_classes=classes)
    findings += [*count_objects(dropped, images, DROPPED), *check_splits(shown)]
    if errors_among(findings):
        raise DataError(f"{sources.root} cannot be used.", findings)
    if not num_tiles:
        raise DataError(nothing_left(sources.root, images, dropped), findings)
    write_findings(folder, findings)


def _looks(sources: AnnotatedFolder) -> np.ndarray:
    """Signatures of the whole images, shape (N, 4); zeros for one that is damaged, which is reported when it is cut."""

    def look(image: AnnotatedImage) -> np.ndarray:
        try:
            upright = read_upright(sources.root / image.file, least_px=_LOOK_PX)
            return signature(shrink_image(upright, (_LOOK_PX, _LOOK_PX)))
        except BadFileError:
            return np.zeros(4, np.uint64)

    looks = in_parallel(look, sources.images, num_pixels=lambda image: image.num_pixels)
    return np.array([*looks], np.uint64).reshape(-1, 4)


def _divide(
    sources: AnnotatedFolder, options: CrownFolderOptions, digests: Mapping[Path, str], looks: np.ndarray
) -> tuple[list[str], list[Finding]]:
    """The split of each image, by its folder or as the folder is divided, and findings about copies.

    All tiles of an image, and all images of a group, are in one split.
    """
    files = [image.file for image in sources.images]
    name_of = {image.file: image.name for image in sources.images}
    names = [name_of[file] for file in files]
    if options.group_pattern is None:
        stated = zip(source_files(files), sources.images, strict=True)
        names = [f"group {image.group}" if image.group else name_of[source] for source, image in stated]
    groups = group_ids(names, [digests[file] for file in files], options.group_pattern)
    shown, alike = [plain_name(file) for file in files], list[Finding]()
    crown_shares = []
    for image in sources.images:
        # The area of the boxes as a share of the image.
        sides = [(shape.box[2] - shape.box[0], shape.box[3] - shape.box[1]) for shape in image.shapes or ()]
        crown_shares.append(sum(width * height for width, height in sides) / image.num_pixels)
    division = files, [image.split for image in sources.images], groups, looks, options, alike
    try:
        splits = divide_pictures(*division, stratify=stratified_group_split, by=crown_shares)
    except ValueError as error:
        raise DataError(f"{sources.root}: {error}", [*sources.findings, *alike]) from error
    same = check_copies(files, [None] * len(files), groups, digests, splits)
    return splits, same + check_copies_across_splits(files, splits) + alike + check_lookalikes(shown, splits, looks)


@dataclass(frozen=True, slots=True)
class _CutImage:
    tiles: list[Tile]
    dropped: list[tuple[ObjectShape, str]]
    """Crowns that are on no tile, each with the reason."""


def _cut(
    root: Path, image: AnnotatedImage, *, options: CrownFolderOptions, kinds: Sequence[str]
) -> _CutImage | BadFileError:
    """Cuts an image into tiles, without those that have no annotation; or the error of one of its files."""
    try:
        upright = read_upright(root / image.file)
        semantic = None if image.label_image is None else read_label_image(root / image.label_image, options.void_label)
    except BadFileError as error:
        return error
    dropped: list[tuple[ObjectShape, str]] = []
    tiles = tiles_of(
        image.name,
        upright,
        shapes=image.shapes,
        semantic=semantic,
        label_of=lambda shape: 1 if options.one_kind else kinds.index(shape.label) + 1,
        tile_px=options.tile_px,
        overlap_px=options.overlap_px,
        on_drop=lambda shape, reason: dropped.append((shape, reason)),
    )
    taught = []
    try:
        for tile in tiles:
            # Large pictures are often annotated in places: a tile without a crown or class may just not be annotated.
            if tile.crowns or (tile.semantic is not None and (tile.semantic != VOID).any()):
                taught.append(tile)
    except BadFileError as error:
        return error
    return _CutImage(taught, dropped)
