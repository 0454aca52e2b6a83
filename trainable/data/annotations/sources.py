"""Finds each image of a folder with its objects and its label image; nothing is decoded yet."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from trainable.data.annotations.file_forms import ANNOTATION_ENDINGS
from trainable.data.annotations.formats.yolo import LABEL_ENDING, lists_classes
from trainable.data.annotations.gathering import Candidate, add_instance_masks, gather
from trainable.data.annotations.instance_masks import masks_of_samples, read_instance_masks, without_masks
from trainable.data.annotations.numbered_masks import read_numbered_masks
from trainable.data.annotations.objects.annotation_file import ACTIONS, Outcome
from trainable.data.annotations.objects.shapes import ObjectShape
from trainable.data.annotations.stated_sizes import check_stated_sizes, check_turned
from trainable.data.image_mask.mask_check import check_size
from trainable.data.io.counted import first_of
from trainable.data.io.decoding import Header, check_bands, check_mask_turns, check_turns, read_header
from trainable.data.io.findings import BadFileError, DataError, Finding, Severity, note
from trainable.data.io.folder_layout import files_below, is_image, refuse_dead_links, require_folder
from trainable.data.io.picture_names import PictureNames
from trainable.data.io.unread import unread_pictures, what_to_unpack
from trainable.data.splitting.copies import source_files
from trainable.data.splitting.group_tables import stated_groups
from trainable.data.splitting.split_lists import LEFT_OUT, named_splits
from trainable.data.splitting.split_names import share_a_split

SEMANTIC_FOLDER, SEMANTIC_ENDING = "semantic", "annot"
_NOTHING_FOUND = (
    "has no image with objects or semantic classes: put COCO, LabelMe, VIA, Label Studio, CreateML or Supervisely "
    "json, Pascal VOC or CVAT xml, YOLO, KITTI or DOTA txt, or csv files "
    f"beside the images, or label images of the same names in a folder {SEMANTIC_FOLDER}."
)
_MAX_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedImage:
    """One image with what is known of it."""

    name: str
    """File name without ending; with its folders where another image has the same."""
    file: Path
    """Below the root."""
    size: tuple[int, int]
    """Height and width in pixels."""
    shapes: tuple[ObjectShape, ...] | None
    """None: objects are not annotated."""
    annotated_in: str | None
    """The file that the objects are from, or all files of its kind where each image has one."""
    label_image: Path | None
    split: str | None = None
    """The split that a folder or a list names; None when none does."""
    group: str | None = None
    """That a table states: pictures of one group are in one split."""

    @property
    def num_pixels(self) -> int:
        return self.size[0] * self.size[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedFolder:
    """The images of one folder that something is annotated of."""

    root: Path
    images: tuple[AnnotatedImage, ...]
    files: tuple[Path, ...]
    """Everything that was read or will be, below the root."""
    findings: tuple[Finding, ...]


def find_sources(root: Path, actions: Mapping[Outcome, str] = ACTIONS) -> AnnotatedFolder:
    """Matches images, annotations and label images by name.

    Args:
        actions: what to do about annotations that cannot be used as they are written.

    Raises:
        DataError: no image has an annotation.
    """
    require_folder(root, "images with annotations")
    paths = files_below(root)
    refuse_dead_links(root, paths)
    pictures = [path for path in paths if is_image(path)]
    masks = masks_of_samples(pictures)
    of_instances = {mask for own in masks.values() for mask in own}
    images = [path for path in pictures if path not in of_instances and not _is_label_folder(path.parent)]
    numbered = read_numbered_masks(root, images)
    images, left_out = without_masks(images, [mask for own in numbered.masks.values() for mask in own])
    names = PictureNames(images)
    headers, findings = _headers(root, images)
    findings += [*numbered.findings, *left_out, *unread_pictures(paths)]
    gathered = gather(root, paths, names, headers)
    annotated = {**read_instance_masks(root, masks), **numbered.annotated}
    add_instance_masks(gathered, annotated, {**masks, **numbered.masks})
    chosen = {picture: one for picture, one in gathered.chosen().items() if picture in headers}
    label_images, unmatched = _label_images([path for path in pictures if _is_label_folder(path.parent)], names)
    findings += gathered.all_findings(actions) + unmatched + check_stated_sizes(chosen, headers)
    findings += check_turned(chosen, headers)
    findings += _check_masks(root, {**masks, **numbered.masks}, label_images, headers)
    found = _annotated_images(headers, chosen, label_images, names)
    own_headers = {image.file: headers[image.file] for image in found}
    findings += check_turns(own_headers) + check_bands(own_headers)
    described_in = [gathered.described_in(image.file, names) for image in found]
    if not found:
        raise DataError(f"{root} {_NOTHING_FOUND}{what_to_unpack(paths)}", [*findings, *gathered.other_files()])
    splits, beside = named_splits(root, [image.file for image in found], described_in)
    found = [replace(image, split=split) for image, split in zip(found, splits, strict=True) if split != LEFT_OUT]
    findings += beside
    findings += gathered.other_files() + _without_annotation(found, headers)
    endings = (*ANNOTATION_ENDINGS, LABEL_ENDING)
    texts = [path for path in paths if path.suffix.lower() in endings or lists_classes(path)]
    return AnnotatedFolder(root=root, images=tuple(found), files=(*pictures, *texts), findings=tuple(findings))


def with_stated_groups(sources: AnnotatedFolder) -> AnnotatedFolder:
    """The images with the groups that tables state."""
    files, splits = [image.file for image in sources.images], [image.split for image in sources.images]
    groups, findings = stated_groups(sources.root, source_files(files), splits)
    images = tuple(replace(image, group=group) for image, group in zip(sources.images, groups, strict=True))
    return replace(sources, images=images, findings=(*sources.findings, *findings))


def _annotated_images(
    headers: Mapping[Path, Header],
    chosen: Mapping[Path, Candidate],
    label_images: Mapping[Path, Path],
    names: PictureNames,
) -> list[AnnotatedImage]:
    return [
        AnnotatedImage(
            name=names.unique_name(file),
            file=file,
            size=headers[file].size,
            shapes=chosen[file].shapes if file in chosen else None,
            annotated_in=chosen[file].where if file in chosen else None,
            label_image=label_images.get(file),
        )
        for file in headers
        if file in chosen or file in label_images
    ]


def _headers(root: Path, images: Sequence[Path]) -> tuple[dict[Path, Header], list[Finding]]:
    headers, findings = {}, []
    for file in images:
        try:
            headers[file] = read_header(root / file)
        except BadFileError as error:
            findings.append(error.finding(file.as_posix()))
    return headers, findings


def _is_label_folder(folder: Path) -> bool:
    return folder.name.lower() == SEMANTIC_FOLDER or folder.name.lower().endswith(SEMANTIC_ENDING)


def _label_images(files: Sequence[Path], names: PictureNames) -> tuple[dict[Path, Path], list[Finding]]:
    """Maps pictures to their label images; reports label images without a picture, and a second one of a picture."""
    found: dict[Path, Path] = {}
    absent, findings = [], []
    for file in files:
        own = [picture for picture in names.find(file.name, file) if share_a_split(file.parent, picture.parent)]
        if len(own) != 1:
            absent.append(file)
        elif found.setdefault(own[0], file) != file:
            problem = f"has 2 label images: {found[own[0]].as_posix()} and {file.as_posix()}"
            action = "Keep the one that is the truth."
            findings.append(Finding(file=own[0].as_posix(), problem=problem, action=action))
    if not absent:
        return found, findings
    problem = (
        f"{len(absent)} of {len(files)} label images have no picture of their name: {first_of(absent, _MAX_NAMED)}"
    )
    action = "They are not used; put their pictures there to train on them."
    left_out = Finding(file="label images", problem=problem, action=action, severity=Severity.WARNING)
    return found, [*findings, left_out]


def _check_masks(
    root: Path,
    masks: Mapping[Path, Sequence[Path]],
    label_images: Mapping[Path, Path],
    headers: Mapping[Path, Header],
) -> list[Finding]:
    """Findings on masks and label images that EXIF turns otherwise than their picture, and on label images of another
    size. One that cannot be read is reported where it is decoded.
    """
    findings, turned = list[Finding](), list[Path]()
    pairs = [(picture, mask) for picture, own in masks.items() for mask in own] + [*label_images.items()]
    for picture, mask in pairs:
        with suppress(BadFileError, KeyError):
            header = read_header(root / mask)
            turned += [mask] if header.is_turned_unlike(headers[picture]) else []
            if mask == label_images.get(picture):
                findings += check_size(headers[picture], header.size, mask.as_posix())
    return findings + check_mask_turns(turned, num_masks=len(pairs))


def _without_annotation(found: Sequence[AnnotatedImage], headers: Sequence[Path] | dict[Path, Header]) -> list[Finding]:
    """A note that counts the pictures that nothing is known of."""
    annotated = {image.file for image in found}
    bare = [file for file in headers if file not in annotated]
    if not bare:
        return []
    problem = f"{len(bare)} of {len(headers)} pictures have no annotation: {first_of(bare, _MAX_NAMED)}"
    return [note("pictures", problem, "They are left out.")]
