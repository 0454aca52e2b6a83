"""All annotation files of a folder, matched with its pictures; for each picture the file that says most of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from trainable.data.annotations.file_forms import ANNOTATION_ENDINGS, read_annotations
from trainable.data.annotations.formats.dota import is_dota, read_dota
from trainable.data.annotations.formats.kitti import is_kitti, read_kitti
from trainable.data.annotations.formats.yolo import LABEL_ENDING, YoloClasses, read_classes, read_yolo
from trainable.data.annotations.objects.annotation_file import (
    MAP_COORDINATES,
    AnnotationFile,
    OtherFileError,
    Outcome,
    Problem,
    findings_of,
)
from trainable.data.annotations.objects.shapes import ObjectShape
from trainable.data.io.counted import counted, first_of
from trainable.data.io.decoding import Header
from trainable.data.io.findings import BadFileError, Finding, Severity, note
from trainable.data.io.picture_names import PictureNames, picture_key
from trainable.data.io.table import SPREADSHEET_ENDINGS, predicted
from trainable.data.splitting.split_names import share_a_split

_SEVERAL = "Annotated in several files: the one with the most outlines, then objects, is used; predictions last."
_OTHER_FILE = "Not used: it annotates no object."
_UNREAD_FORMS = (
    dict.fromkeys(SPREADSHEET_ENDINGS, "is a spreadsheet; save it as csv to have it read")
    | dict.fromkeys((".geojson", ".shp", ".gpkg", ".kml", ".kmz"), MAP_COORDINATES)
    | dict.fromkeys((".ndjson", ".tfrecord", ".mat"), "is not read; export it as COCO json")
)
"""By ending: annotations to whoever put them there."""
_LIST_OF_BOXES = "_annotations.txt"
"""As Roboflow writes it for Keras and YOLOv4."""
_IN_PIXELS = ((is_kitti, read_kitti), (is_dota, read_dota))
"""Texts of a picture that are none of YOLO's: how they are known and read."""
_ABSENT = {
    "without a file here": "Put these pictures there, or leave it: their objects are not used.",
    "of another split": "Give the file, or its folder, the name of their split, or leave it: it is not used for them.",
}
"""Pictures that are annotated in vain, each with what to do."""
_MAX_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Annotations of one picture in one file."""

    file: Path
    """Below the root."""
    where: str
    """The name in findings: the file itself, or all files of its kind if each picture has one."""
    shapes: tuple[ObjectShape, ...]
    stated_size: tuple[int, int] | None
    """Height and width that the file states."""
    is_predicted: bool = False
    is_in_fractions: bool = False
    """Whether places are fractions of the picture's sides, so that objects lie on it whichever way it is turned."""

    @property
    def rank(self) -> tuple[bool, int, int, str]:
        return (
            not self.is_predicted,
            sum(shape.is_outlined for shape in self.shapes),
            len(self.shapes),
            self.file.as_posix(),
        )


@dataclass(slots=True, kw_only=True)
class Gathered:
    """Filled file by file; files are below the root."""

    candidates: dict[Path, list[Candidate]] = field(default_factory=dict)
    """By picture."""
    problems: dict[str, list[Problem]] = field(default_factory=dict)
    """By file, or by kind and folder where each picture has a file of its own."""
    num_objects: Counter[str] = field(default_factory=Counter)
    absent: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """Pictures that are annotated in vain, by file and why."""
    renamed: list[Path] = field(default_factory=list)
    """Files that name another picture than the one of their own name, which alone is here."""
    others: dict[str, list[Path]] = field(default_factory=dict)
    """Files that annotate nothing, by what they are."""
    findings: list[Finding] = field(default_factory=list)

    def add(self, picture: Path, candidate: Candidate) -> None:
        """Adds annotations of a picture; those of one file under two names of the picture become one."""
        own = self.candidates.setdefault(picture, [])
        if own and own[-1].file == candidate.file:
            before = own.pop()
            stated_size = before.stated_size or candidate.stated_size
            candidate = replace(candidate, shapes=before.shapes + candidate.shapes, stated_size=stated_size)
        own.append(candidate)

    def chosen(self) -> dict[Path, Candidate]:
        """For each picture the file with the most outlines, then objects, that holds no predictions if there is one."""
        return {picture: max(own, key=lambda one: one.rank) for picture, own in self.candidates.items()}

    def described_in(self, picture: Path, names: PictureNames) -> list[Path]:
        """Annotation files that may name the split of a picture; predictions only if there are no others."""
        own = self.candidates.get(picture, [])
        annotated = [one for one in own if not one.is_predicted] or own
        return [naming_path(one.file, names) for one in annotated]

    def other_files(self) -> list[Finding]:
        """A warning for each kind of file that annotates nothing, as it may be meant to."""
        return [
            Finding(
                file=files[0].as_posix() if len(files) == 1 else _kind(files[0]),
                problem=problem
                if len(files) == 1
                else f"{counted(len(files), 'file')}, such as {files[0].name}: {problem}",
                action=_OTHER_FILE,
                severity=Severity.WARNING,
            )
            for problem, files in self.others.items()
        ]

    def all_findings(self, actions: Mapping[Outcome, str]) -> list[Finding]:
        """Everything but the files that annotate nothing."""
        found = [*self.findings]
        for where, problems in self.problems.items():
            found += findings_of(where, problems, self.num_objects[where], actions)
        for (where, why), names in self.absent.items():
            problem = f"annotates {counted(len(names), 'picture')} {why}: {first_of(names, _MAX_NAMED)}"
            found.append(Finding(file=where, problem=problem, action=_ABSENT[why], severity=Severity.WARNING))
        if self.renamed:
            naming = counted(len(self.renamed), "file names", "files name")
            problem = f"{naming} a picture that is not here: {first_of(self.renamed, _MAX_NAMED)}"
            found.append(note("annotations", problem, "Each is read for the picture of its own name."))
        return found + self._choices()

    def _choices(self) -> list[Finding]:
        chosen = self.chosen()
        pictures: dict[str, list[Path]] = {}
        for picture, own in self.candidates.items():
            best = chosen[picture]
            others = ", ".join(sorted({one.file.name for one in own if one is not best}))
            if others:
                pictures.setdefault(f"{best.file.name} is used, {others} not", []).append(picture)
        return [
            note("annotations", f"{choice}, for {counted(len(own), 'picture')}: {first_of(own, _MAX_NAMED)}", _SEVERAL)
            for choice, own in pictures.items()
        ]


def gather(root: Path, paths: Sequence[Path], names: PictureNames, headers: Mapping[Path, Header]) -> Gathered:
    """Reads every annotation file of the folder; what cannot be read is an error among the findings."""
    found = Gathered()
    for file in paths:
        if file.suffix.lower() in ANNOTATION_ENDINGS:
            _gather_file(found, root, file, names)
        elif (form := _UNREAD_FORMS.get(file.suffix.lower())) is not None:
            found.others.setdefault(form, []).append(file)
        elif file.name.lower() == _LIST_OF_BOXES:
            found.others.setdefault(
                "lists boxes of all pictures, which is not read; export it as COCO json", []
            ).append(file)
    labels = [file for file in paths if file.suffix.lower() == LABEL_ENDING]
    if labels:
        _gather_yolo(found, root, paths, labels, names, headers)
    return found


def _gather_file(found: Gathered, root: Path, file: Path, names: PictureNames) -> None:
    try:
        annotated = read_annotations(root / file)
    except OtherFileError as error:
        found.others.setdefault(str(error), []).append(file)
        return
    except BadFileError as error:
        found.findings.append(error.finding(file.as_posix()))
        return
    found.findings += [note(file.as_posix(), how, "Check that it is so.") for how in annotated.notes]
    found.findings += [predicted(file, what) for what in annotated.predicted]
    where = _keep_problems(found, file, annotated)
    for picture in annotated.pictures.values():
        called = names.find(picture.name, file)
        fitting = _of_the_same_split(file, called, names)
        is_alone = len(annotated.pictures) == 1
        own = _own_picture(found, file, picture.name, fitting, names) if is_alone else fitting
        if own is None:
            continue
        if len(own) > 1:
            found.findings.append(_ambiguous(file, picture.name, own))
        elif own:
            one = Candidate(file=file, where=where, shapes=tuple(picture.shapes), stated_size=picture.size)
            found.add(own[0], replace(one, is_predicted=bool(annotated.predicted)))
        else:
            why = "of another split" if called else "without a file here"
            found.absent.setdefault((where, why), []).append(picture.name)


def add_instance_masks(
    found: Gathered, annotated: Mapping[Path, AnnotationFile], masks: Mapping[Path, Sequence[Path]]
) -> None:
    """The objects of pictures that have a mask for each."""
    for picture, own in annotated.items():
        folder = masks[picture][0].parent
        where = _keep_problems(found, folder, own)
        shapes = tuple(own.pictures[picture.name].shapes)
        found.add(picture, Candidate(file=folder, where=where, shapes=shapes, stated_size=None))


def _gather_yolo(
    found: Gathered,
    root: Path,
    paths: Sequence[Path],
    labels: Sequence[Path],
    names: PictureNames,
    headers: Mapping[Path, Header],
) -> None:
    """Reads the txt files that have the name of a picture; its size turns their fractions into pixels."""
    matched = {file: own for file in labels if (own := _of_the_same_split(file, names.find(file.stem, file), names))}
    try:
        classes = read_classes(root, paths) if matched else YoloClasses(names={})
    except BadFileError as error:
        found.findings.append(error.finding("names of classes"))
        return
    for file, own in matched.items():
        if len(own) > 1:
            found.findings.append(_ambiguous(file, file.stem, own))
        elif own[0] in headers:
            try:
                reader = next((read for is_form, read in _IN_PIXELS if is_form(root / file)), None)
                size = headers[own[0]].size
                annotated = reader(root / file) if reader else read_yolo(root / file, size=size, classes=classes)
            except OtherFileError as error:
                found.others.setdefault(str(error), []).append(file)
                continue
            where = _keep_problems(found, file, annotated)
            (picture,) = annotated.pictures.values()
            shapes = tuple(picture.shapes)
            one = Candidate(file=file, where=where, shapes=shapes, stated_size=None, is_in_fractions=not reader)
            found.add(own[0], one)


def _keep_problems(found: Gathered, file: Path, annotated: AnnotationFile) -> str:
    """Adds the problems under the file, or, if each picture has its own file, under all such files of its folder."""
    alone = len(annotated.pictures) == 1 and file.suffix.lower() in (".xml", ".json", LABEL_ENDING)
    where = _kind(file) if alone else file.as_posix()
    found.num_objects[where] += annotated.num_objects
    if annotated.problems:
        own = [replace(problem, picture=file.name) for problem in annotated.problems] if alone else annotated.problems
        found.problems.setdefault(where, []).extend(own)
    return where


def _kind(file: Path) -> str:
    """Pattern for all files of this kind in the folder."""
    return (file.parent / f"*{file.suffix}").as_posix()


def naming_path(file: Path, names: PictureNames) -> Path:
    """The part of a file's path that may name a split: all of it, as `instances_val`, but only the folders of a file
    that is named after a picture."""
    return file.parent if names.find(file.stem, file) else file.with_suffix("")


def _of_the_same_split(file: Path, pictures: Sequence[Path], names: PictureNames) -> list[Path]:
    """The pictures that may be of the file's split: `train/boxes.csv` says nothing of one in `test`."""
    place = naming_path(file, names)
    return [picture for picture in pictures if share_a_split(place, picture.parent)]


def _own_picture(found: Gathered, file: Path, named: str, own: list[Path], names: PictureNames) -> list[Path] | None:
    """Falls back on the file's own name if the picture that it names is missing; None if both are here."""
    beside = _of_the_same_split(file, names.find(file.stem, file), names)
    if not own and len(beside) == 1:
        found.renamed.append(file)
        return beside
    if own and beside and not set(own) & set(beside) and picture_key(named) != file.stem:
        action = "Put the name in the file right, or give the file the name of its picture."
        problem = f"names {named}, but has the name of {beside[0].name}; both are here"
        found.findings.append(Finding(file=file.as_posix(), problem=problem, action=action))
        return None
    return own


def _ambiguous(file: Path, name: str, own: Sequence[Path]) -> Finding:
    return Finding(
        file=file.as_posix(),
        problem=f"annotates {name}, which may be {' or '.join(map(str, own[:_MAX_NAMED]))}",
        action="Give each picture a name of its own, or write its folder into the annotation.",
    )
