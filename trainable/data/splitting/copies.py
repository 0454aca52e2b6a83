"""Copies of one photograph by their names: turned, mirrored, retouched, and as tools that augment write them.

`plate_01_rotated_90.jpg`, `rotated_plate_01.jpg`, `plate_01_90deg.JPG`, `plate_01_new30degFlipLR.JPG`,
`plate_01_aug_3.png` and `plate_01_jpg.rf.0f3c….jpg` come from `plate_01.jpg`, `rotated/leaf_rotated_001.jpg` from
`orig/leaf_orig_001.jpg`. Other names need a pattern from the user.
"""

import re
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path

from trainable.data.io.findings import Finding, Severity
from trainable.data.io.folder_layout import plain_name
from trainable.data.splitting.split_names import split_of

_FLIP = "(?:(?:horizontal|vertical)[-_ ]?|[hv])?flip(?:ped|s)?(?:[-_ ]?(?:lr|ud|tb|horizontal|vertical|[hvxy]))?"
COPY_MARKS = (
    rf"rotated[-_ ]by[-_ ][0-9]+|rotated|rotation|rot(?=[0-9])|{_FLIP}|mirror(?:ed)?|aug(?:mented|mentation)?|copy"
    rf"|(?:new)?[0-9]+deg(?:rees?)?(?:{_FLIP})?"
)
"""Words that make a copy of what they stand beside."""
_RETOUCHED = "blur(?:red)?|nois[ey]|brightness|contrast|gamma|saturation|sharpen(?:ed)?|zoom(?:ed)?|shear|crop(?:ped)?"
"""These do so behind a name with a number alone: a class may be called so."""
_RETOUCHED_LAST = (
    r"rot(?:ated?)?[-_ ]?(?:[0-9]{1,3}|left|right)|r(?:90|180|270)|turned|upside[-_ ]?down|transposed?|shift(?:ed)?"
    r"|scaled?|translat(?:ed?|ion)|affine|perspective|warp(?:ed)?|elastic|distort(?:ed|ion)?|(?:colou?r[-_ ]?)?jitter"
    r"|hue|gr[ae]yscale|gaussian[-_ ]?(?:blur|noise)|motion[-_ ]?blur|salt[-_ ]?(?:(?:and|n)[-_ ]?)?pepper|cutout"
    r"|dropout|equali[sz]ed?|clahe|inverted|solari[sz]ed?|posteri[sz]ed?|bright(?:er|ened)?|dark(?:er|ened)?|sharp|resized"
    r"|dup(?:licate)?"
)
"""These behind a name with a number, and with nothing but a short number behind them: frames may be called so."""
_WORD = r"(?i)(?<![^\W_])(?:{})[0-9]*(?![^\W_])"
_COPY = re.compile(_WORD.format(COPY_MARKS))
_MARK = re.compile(_WORD.format(f"{COPY_MARKS}|orig|original"))
_BEHIND = re.compile(_WORD.format(f"{COPY_MARKS}|orig|original|{_RETOUCHED}"))
_LAST = re.compile(rf"(?i)(?<![^\W_])(?:{_RETOUCHED_LAST})[-_ ]?[0-9]{{0,2}}(?:\.[0-9]+)?$")
_ROBOFLOW = re.compile(r"(?i)(?:_(?:jpe?g|png|bmp|tiff?|webp))?\.rf\.[0-9a-z]{16,}$")
_AUGMENTOR = re.compile(r"(?i)^.*_original_(.+?)(?:\.(?:jpe?g|png|bmp|tiff?))?_[0-9a-f]{8}-[0-9a-f-]{27}$")
_DESKTOP = re.compile(r"(?i)[-_ ]+copy(?: ?\([0-9]+\)| [0-9]+)?$| \((?:another |[0-9]+(?:st|nd|rd|th) )?copy\)$")


def source_files(files: Sequence[Path]) -> list[Path]:
    """For each file the one that it was made from: itself, unless its name says that it is a copy of another."""
    sources = [_source(file) for file in files]
    first: dict[str, Path] = {}
    for source, file in sorted(zip(sources, files, strict=True), key=lambda one: (is_copy(one[1]), one[1])):
        first.setdefault(source, file)
    return [first[source] for source in sources]


def is_copy(file: Path) -> bool:
    """Whether a name says that the picture was made from another."""
    return _tool_mark(file.stem) is not None or _COPY.search(plain_name(file)) is not None


def marks_copies(name: str) -> bool:
    """Whether a folder's name says copies or originals and no more, as `rotated` and `orig` do."""
    return not _MARK.sub("", name).strip("_- ")


def check_copies_across_splits(files: Sequence[Path], splits: Sequence[str]) -> list[Finding]:
    """A warning for each copy whose original, or another copy of it, lies in another split and none in its own."""
    without_split = [Path(*(name for name in file.parts[:-1] if not split_of(Path(name))), file.name) for file in files]
    sources = [_source(file) for file in without_split]
    originals = {
        (source, split) for source, split, file in zip(sources, splits, files, strict=True) if not is_copy(file)
    }
    first: dict[str, tuple[Path, str]] = {}
    findings = []
    for file, split, source in sorted(zip(files, splits, sources, strict=True), key=lambda one: is_copy(one[0])):
        other, its_split = first.setdefault(source, (file, split))
        if its_split != split and is_copy(file) and (source, split) not in originals:
            problem = f"({split}) is named as a copy of {plain_name(other)} ({its_split})"
            action = "Remove one of the two if it is: what is trained on cannot be tested on."
            findings.append(Finding(file=plain_name(file), problem=problem, action=action, severity=Severity.WARNING))
    return findings


def check_copies(
    files: Sequence[Path],
    labels: Sequence[Hashable],
    groups: Sequence[str],
    digests: Mapping[Path, str],
    splits: Sequence[str],
) -> list[Finding]:
    """An error for one picture with two labels or one source in two splits; a warning for other copies."""
    first_of: dict[str, tuple[Path, str]] = {}
    first_with: dict[str, tuple[Path, Hashable]] = {}
    findings = []
    for file, label, group, split in zip(files, labels, groups, splits, strict=True):
        relative, relative_split = first_of.setdefault(group, (file, split))
        twin, twin_label = first_with.setdefault(digests[file], (file, label))
        same = f"is the same picture as {plain_name(twin)}"
        if twin_label != label:
            action = "Remove one of the two: a picture has one class."
            findings.append(Finding(file=plain_name(file), problem=same, action=action))
        elif split != relative_split:
            problem = f"({split}) has the same source as {plain_name(relative)} ({relative_split})"
            action = "Remove one of the two: what is trained on cannot be tested on."
            findings.append(Finding(file=plain_name(file), problem=problem, action=action))
        elif twin is not file:
            action = "Both stay in the same split; nothing to do, or remove one."
            findings.append(Finding(file=plain_name(file), problem=same, action=action, severity=Severity.WARNING))
    return findings


def _source(file: Path) -> str:
    """The path without its marks; a name that has a number before its mark ends there."""
    stem = _tool_mark(file.stem) or file.stem
    marks = (*_BEHIND.finditer(stem), *_LAST.finditer(stem))
    behind = [mark.start() for mark in marks if re.search("[0-9]", stem[: mark.start()])]
    name = stem[: min(behind)] if behind else _MARK.sub("", stem)
    folders = [_MARK.sub("", folder) for folder in file.parent.parts]
    return plain_name("/".join(filter(None, (word.strip("_- ") for word in (*folders, name)))))


def _tool_mark(stem: str) -> str | None:
    """The name that a tool made a longer one of; None when no tool did."""
    if match := _AUGMENTOR.fullmatch(stem):
        return match[1]
    shorter = _DESKTOP.sub("", _ROBOFLOW.sub("", stem))
    return shorter if shorter != stem else None
