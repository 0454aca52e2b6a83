"""A folder of class folders, checked, split and cached, as the labelled images that a task trains on.

Files are found and hashed; unless this content is in the cache already, they are decoded and resized once, then dealt
to splits class by class, all images of one source together. Every bad file is reported before anything trains.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, Self

import numpy as np

from trainable.data.classes.label_table import find_tabled_images
from trainable.data.classes.labelled_images import LabelledSample, open_labelled, write_labelled
from trainable.data.classes.layout import ClassImage, find_class_images
from trainable.data.io.counted import counted, first_of
from trainable.data.io.decoding import MIN_SIDE_PX, crop_image, num_pixels, read_upright, shrink_image
from trainable.data.io.files import Ticker, content_digests
from trainable.data.io.findings import (
    BadFileError,
    Finding,
    Severity,
    read_findings,
    refuse_errors,
    write_findings,
)
from trainable.data.io.folder_layout import plain_name, require_folder
from trainable.data.io.image_cache import cached_folder, default_cache_dir
from trainable.data.io.splits import (
    DIVISION_VERSION,
    SPLIT_NAMES,
    DivisionOptions,
    Splits,
    group_ids,
    matched_sources,
    stratified_class_split,
)
from trainable.data.splitting.copies import check_copies, check_copies_across_splits, source_files
from trainable.data.splitting.decoded_pictures import Stored, array_file, decode_pictures
from trainable.data.splitting.division import divide_pictures
from trainable.data.splitting.group_tables import stated_groups
from trainable.data.splitting.lookalikes import check_lookalikes

RESIZES = {"crop": crop_image, "squash": shrink_image}
_BYTES_PER_PIXEL = 8
"""Each image lies twice on disk while they are divided."""
_MOST_LISTED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFolderOptions(DivisionOptions):
    """How a folder is read; all of it is part of the cache's key."""

    image_size_px: int = 128
    """Side of the square images in the cache, from 16."""
    resize: Literal["crop", "squash"] = "crop"
    """crop: the shorter side is resized and the middle cut out, shapes stay; squash: all of it, shapes change."""

    def __post_init__(self) -> None:
        if self.image_size_px < MIN_SIDE_PX:
            raise ValueError(f"image_size_px is {self.image_size_px}, but must be at least {MIN_SIDE_PX}.")
        if self.resize not in RESIZES:
            raise ValueError(f"resize is {self.resize!r}; allowed: {', '.join(RESIZES)}.")
        self.check_division()


def open_class_folder(
    root: Path,
    options: ClassFolderOptions,
    *,
    cache_dir: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Splits:
    """The folder as `LabelledImages`, through the cache, with warnings and notes.

    `on_progress(done, total)` is called while something is decoded.

    Raises:
        DataError: with a table of everything that must be put right first.
        CacheError: the cache folder is full or cannot be written.
    """
    cache_dir = cache_dir or default_cache_dir()
    source = _Source.find(root, options, cache_dir)
    needed_bytes = _BYTES_PER_PIXEL * len(source.images) * options.image_size_px**2
    build = partial(_build, source, on_progress)
    folder = cached_folder(source.key(), cache_dir, build, needed_bytes=needed_bytes)
    return replace(open_labelled(folder), findings=read_findings(folder))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    root: Path
    images: list[ClassImage]
    findings: list[Finding]
    digests: Mapping[Path, str]
    groups: list[str]
    class_names: tuple[str, ...]
    options: ClassFolderOptions

    @classmethod
    def find(cls, root: Path, options: ClassFolderOptions, cache_dir: Path) -> Self:
        require_folder(root, "a folder of images for each class, or images and a table of their classes")
        images, findings = find_tabled_images(root) or find_class_images(root)
        digests = content_digests(root, [image.file for image in images], cache_dir)
        files = [image.file for image in images]
        if options.group_pattern is None:
            sources, stated = source_files(files), [image.group for image in images]
            if not any(stated):
                stated, about = stated_groups(root, sources, [image.split for image in images])
                findings = findings + about
            pairs = zip(stated, sources, strict=True)
            names = [f"group {group}" if group else plain_name(source) for group, source in pairs]
        else:
            names = _names_of_sources(images, options)
        groups = group_ids(names, [digests[file] for file in files], options.group_pattern)
        return cls(
            root=root,
            images=images,
            findings=findings,
            digests=digests,
            groups=groups,
            class_names=tuple(sorted({image.class_name for image in images})),
            options=options,
        )

    def key(self) -> str:
        """Key of the cache. It covers findings, so that a folder with errors never finds the cache of its good part."""
        images = [(image.file, image.class_name, image.split, self.digests[image.file]) for image in self.images]
        findings = [asdict(finding) for finding in self.findings]
        content = [DIVISION_VERSION, images, self.groups, asdict(self.options), findings]
        return "classes-" + hashlib.sha256(json.dumps(content, default=Path.as_posix).encode()).hexdigest()[:24]


def _names_of_sources(images: Sequence[ClassImage], options: ClassFolderOptions) -> list[str]:
    """The names in which the pattern looks for the source of each image; those of a named split begin with the split,
    as numbers may start again in each.

    A variant belongs to the original in its own split, else to that in another. Where the user gave the pattern, a name
    means the same source in every split.
    """
    names = [plain_name(image.file.stem) for image in images]
    if not options.keeps_alike or not any(image.split for image in images):
        return names
    sources = matched_sources(names, options.group_pattern or "")
    splits_of_originals: dict[str, list[str | None]] = {}
    for image, name, source in zip(images, names, sources, strict=True):
        if name == source:
            splits_of_originals.setdefault(source, []).append(image.split)
    numbered = []
    for image, name, source in zip(images, names, sources, strict=True):
        splits = splits_of_originals.get(source, [image.split])
        numbered.append(f"{image.split if image.split in splits else splits[0]}/{name}")
    return numbered


def _build(source: _Source, on_progress: Callable[[int, int], None] | None, folder: Path) -> None:
    """Reads every image even after the first bad one, so that all problems are reported at once."""
    with array_file(folder) as decoded:
        tick = Ticker(len(source.images), on_progress)
        pictures, looks = decode_pictures(
            partial(_read, source),
            source.images,
            tick,
            decoded,
            num_pixels=lambda image: num_pixels(source.root / image.file),
        )
        splits, findings = _divide(source, looks)
        findings = [*source.findings, *findings, *(bad for bad in pictures if isinstance(bad, Finding))]
        refuse_errors(findings, source.root, counted(len(source.images), "image"))

        def samples(split: str) -> Iterator[LabelledSample]:
            for image, own, picture in zip(source.images, splits, pictures, strict=True):
                if own == split:
                    assert isinstance(picture, Stored), picture
                    label, digest = source.class_names.index(image.class_name), source.digests[image.file]
                    pixels = decoded.read(picture)
                    yield LabelledSample(name=plain_name(image.file), image=pixels, label=label, digest=digest)

        size = (source.options.image_size_px, source.options.image_size_px)
        write_labelled(folder, {split: samples(split) for split in SPLIT_NAMES}, size, source.class_names)
    write_findings(folder, findings)


def _divide(source: _Source, looks: np.ndarray) -> tuple[list[str], list[Finding]]:
    """The split of each image, and findings about copies and about the classes of each split.

    The split is what its folder says, else as the folder is divided; a split with its own folder takes no others.
    """
    files, labels = [image.file for image in source.images], [image.class_name for image in source.images]
    names = [plain_name(file) for file in files]
    named, alike = [image.split for image in source.images], list[Finding]()
    division = files, named, source.groups, looks, source.options, alike
    splits = divide_pictures(*division, stratify=stratified_class_split, by=labels)
    findings = check_copies(files, labels, source.groups, source.digests, splits)
    findings += check_copies_across_splits(files, splits) + _classes_read(source, splits) + _thin_splits(source, splits)
    return splits, findings + alike + check_lookalikes(names, splits, looks)


def _classes_read(source: _Source, splits: Sequence[str]) -> list[Finding]:
    """The classes of each split with their numbers of images."""
    counts = Counter(zip(splits, (image.class_name for image in source.images), strict=True))
    findings = []
    for split in filter(splits.__contains__, SPLIT_NAMES):
        listed = [f"{name} {counts[split, name]}" for name in source.class_names if counts[split, name]]
        rest = len(listed) - _MOST_LISTED
        more = f" and {counted(rest, 'more class', 'more classes')}" if rest > 0 else ""
        problem = ", ".join(listed[:_MOST_LISTED]) + more
        findings.append(Finding(file=split, problem=problem, action="Read as classes.", severity=Severity.NOTE))
    return findings


def _thin_splits(source: _Source, splits: Sequence[str]) -> list[Finding]:
    """Errors for splits without images or trained classes, warnings for those that lack a class."""
    found = {(split, image.class_name) for split, image in zip(splits, source.images, strict=True)}
    sources = Counter(
        name for name, _ in {(own.class_name, group) for own, group in zip(source.images, source.groups, strict=True)}
    )
    empty = [
        Finding(
            file=split,
            problem="gets no image: folders or lists say another split of each"
            if all(image.split for image in source.images)
            else f"gets no image: no class has images of more than {counted(max(sources.values()), 'source')}",
            action="Add images of other sources: each class is divided by source, train first.",
        )
        for split in SPLIT_NAMES
        if split not in splits
    ]
    lacking = [
        Finding(
            file=name,
            problem=f"has no image in the {split} split",
            action="Add images of other sources; until then "
            + ("the class cannot be learned." if split == "train" else "metrics of that split do not know the class."),
            severity=Severity.WARNING,
        )
        for split in SPLIT_NAMES
        for name in source.class_names
        if split in splits and (split, name) not in found
    ]
    return empty + lacking + _foreign_splits(found)


def _foreign_splits(found: set[tuple[str, str]]) -> list[Finding]:
    """An error for a split whose folders hold none of the classes that are trained: they are no classes, or others."""
    classes = {split: {name for own, name in found if own == split} for split in SPLIT_NAMES}
    return [
        Finding(
            file=split,
            problem=f"holds {first_of(sorted(classes[split]), _MOST_LISTED)}, but none of the classes of train: "
            f"{first_of(sorted(classes['train']), _MOST_LISTED)}",
            action="Put its images into folders of these classes, or take the folder of the split away.",
        )
        for split in SPLIT_NAMES
        if classes[split] and classes["train"] and not classes[split] & classes["train"]
    ]


def _read(source: _Source, image: ClassImage) -> np.ndarray | Finding:
    options = source.options
    try:
        upright = read_upright(source.root / image.file, least_px=options.image_size_px)
        return RESIZES[options.resize](upright, (options.image_size_px, options.image_size_px))
    except BadFileError as error:
        return error.finding(plain_name(image.file))
