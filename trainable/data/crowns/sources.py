"""What lies in a folder of aerial images: each image with its crowns and its label image, nothing decoded yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainable.data.crowns.annotations import ANNOTATION_ENDINGS, Annotations, CrownShape, read_annotations
from trainable.data.io.decoding import read_header
from trainable.data.io.findings import BadFileError, DataError, Finding, Severity
from trainable.data.io.folder_layout import IMAGE_ENDINGS, require_folder

SEMANTIC_FOLDER, SEMANTIC_ENDING = "semantic", "annot"
_BOX_ONLY = "Only boxes are annotated: the whole box is taken as the mask of its crown."
_SEVERAL = "Annotated in several files: the one with the most outlines, then crowns, is used."


@dataclass(frozen=True, slots=True, kw_only=True)
class CrownImage:
    """One image with what is known of it."""

    name: str
    """File name without ending."""
    file: Path
    """Below the root."""
    size: tuple[int, int]
    """Height and width in pixels."""
    shapes: tuple[CrownShape, ...] | None
    """None: crowns are not annotated."""
    label_image: Path | None

    @property
    def num_pixels(self) -> int:
        return self.size[0] * self.size[1]

    @property
    def crown_share(self) -> float:
        """Area of the boxes as a share of the image."""
        sides = [(shape.box[2] - shape.box[0], shape.box[3] - shape.box[1]) for shape in self.shapes or ()]
        return sum(width * height for width, height in sides) / self.num_pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class CrownSources:
    """The images of one folder that something is annotated of."""

    root: Path
    images: tuple[CrownImage, ...]
    files: tuple[Path, ...]
    """Everything that was read or will be, below the root."""
    findings: tuple[Finding, ...]


def find_sources(root: Path) -> CrownSources:
    """Matches images, annotations and label images by name.

    Raises:
        DataError: no image has an annotation, or two images have one name.
    """
    require_folder(root, "images with annotations")
    paths = [path.relative_to(root) for path in sorted(root.rglob("*")) if path.is_file() and path.name[0] != "."]
    pictures = [path for path in paths if path.suffix.lower() in IMAGE_ENDINGS]
    label_images = {path.stem: path for path in pictures if _is_label_folder(path.parent)}
    images = [path for path in pictures if not _is_label_folder(path.parent)]
    _check_names(root, images)
    annotation_files = [path for path in paths if path.suffix.lower() in ANNOTATION_ENDINGS]
    chosen, findings = _chosen_annotations(root, annotation_files)
    found = []
    for file in images:
        try:
            size = read_header(root / file).size
        except BadFileError as error:
            findings.append(error.finding(file.as_posix()))
            continue
        shapes, label_image = chosen.pop(file.stem, None), label_images.get(file.stem)
        if shapes is None and label_image is None:
            findings.append(_note(file, "has no annotation", "Left out."))
        else:
            kept = None if shapes is None else tuple(shapes)
            found.append(CrownImage(name=file.stem, file=file, size=size, shapes=kept, label_image=label_image))
        if shapes and not any(shape.polygons for shape in shapes):
            findings.append(_note(file, f"has {len(shapes)} boxes and no outline", _BOX_ONLY))
    findings += [_missing(name) for name in chosen]
    if not found:
        raise DataError(
            f"{root} has no image with crowns or semantic classes: put COCO json, Pascal VOC xml or csv files beside "
            f"the images, or label images of the same names in a folder {SEMANTIC_FOLDER}.",
            findings,
        )
    return CrownSources(
        root=root, images=tuple(found), files=tuple(pictures + annotation_files), findings=tuple(findings)
    )


def _chosen_annotations(root: Path, files: Sequence[Path]) -> tuple[Annotations, list[Finding]]:
    """For each image the shapes of the file that says most of it; what cannot be read is a warning."""
    candidates: dict[str, list[tuple[Path, list[CrownShape]]]] = {}
    findings = []
    for file in files:
        try:
            annotated = read_annotations(root / file)
        except BadFileError as error:
            findings.append(
                Finding(file=file.as_posix(), problem=error.problem, action=error.action, severity=Severity.WARNING)
            )
            continue
        for image, shapes in annotated.items():
            candidates.setdefault(image, []).append((file, shapes))
    chosen = {}
    for image, options in candidates.items():
        best, chosen[image] = max(options, key=lambda one: (_num_outlined(one[1]), len(one[1]), one[0].as_posix()))
        if len(options) > 1:
            others = ", ".join(file.name for file, _ in options if file != best)
            findings.append(_note(Path(image), f"{best.name} is used, {others} not", _SEVERAL))
    return chosen, findings


def _num_outlined(shapes: Sequence[CrownShape]) -> int:
    return sum(bool(shape.polygons) for shape in shapes)


def _is_label_folder(folder: Path) -> bool:
    return folder.name.lower() == SEMANTIC_FOLDER or folder.name.lower().endswith(SEMANTIC_ENDING)


def _check_names(root: Path, images: Sequence[Path]) -> None:
    names = [path.stem for path in images]
    twice = [path for path in images if names.count(path.stem) > 1]
    if twice:
        action = "Give each image a name of its own: annotations are matched by it."
        raise DataError(
            f"{root} holds several images of one name.",
            [Finding(file=path.as_posix(), problem="is not the only one of its name", action=action) for path in twice],
        )


def _missing(image: str) -> Finding:
    action = "Put the image there, or leave it: its crowns are not used."
    return Finding(
        file=image, problem="is annotated, but no such image is here", action=action, severity=Severity.WARNING
    )


def _note(file: Path, problem: str, action: str) -> Finding:
    return Finding(file=file.as_posix(), problem=problem, action=action, severity=Severity.NOTE)
