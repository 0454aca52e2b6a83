"""Is a picture of the size that its annotations state? Objects of another size would be cut at the wrong places.

Where they state none, a picture that EXIF turns by a quarter has two sizes that they may be of.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from trainable.data.annotations.gathering import Candidate
from trainable.data.io.counted import counted, first_of, wide_by_high
from trainable.data.io.decoding import Header
from trainable.data.io.findings import Finding, Severity

_OTHER = "Export the annotations at the size of these pictures, or put the pictures of that size back."
_TURNED = "Two readings fit: save these pictures without EXIF turn, then state that size and annotate what you see."
_SWAPPED = "Width and height are swapped there; the objects lie on the pictures and are read as they are."
_ROUNDED = "So small a difference moves no object by more than a pixel; nothing to do."
_BEFORE = "Take the EXIF turn out of these pictures, whose pixels stay as they are, or annotate what you see."
_EITHER = "Read as turned, as you see them: check it, or save these pictures without EXIF turn and annotate those."
_MAX_NAMED = 3


def check_stated_sizes(chosen: Mapping[Path, Candidate], headers: Mapping[Path, Header]) -> list[Finding]:
    """An error for pictures whose objects would lie elsewhere, a warning where a slip moves none of them.

    One for each annotation file and reason, with its count and the first pictures with both sizes.
    """
    kinds: dict[tuple[str, str], list[str]] = {}
    for picture, candidate in chosen.items():
        size = headers[picture].size
        # That of a run-length mask counts most: it is nothing but pixels.
        masks = {shape.run_length.size for shape in candidate.shapes if shape.run_length}
        stated = min(masks - {size}, default=candidate.stated_size)
        if candidate.shapes and stated is not None and stated != size:
            action = _action(candidate, stated, headers[picture])
            sizes = f"{picture.as_posix()} is {wide_by_high(size)}, stated {wide_by_high(stated)}"
            kinds.setdefault((candidate.where, action), []).append(sizes)
    findings = []
    for (where, action), pictures in kinds.items():
        what = counted(len(pictures), "picture is", "pictures are")
        before = "the size before their EXIF turn" if action == _TURNED else "another size"
        problem = f"{what} stated with {before}: {first_of(pictures, _MAX_NAMED, separator='; ')}"
        severity = Severity.WARNING if action in (_SWAPPED, _ROUNDED) else Severity.ERROR
        findings.append(Finding(file=where, problem=problem, action=action, severity=severity))
    return findings


def check_turned(chosen: Mapping[Path, Candidate], headers: Mapping[Path, Header]) -> list[Finding]:
    """For each file that states no size: an error where objects fit only the picture before its EXIF turn, a warning
    where they fit it before and after.
    """
    turned: dict[str, list[Path]] = {}
    for picture, candidate in chosen.items():
        states_size = candidate.stated_size or any(shape.run_length for shape in candidate.shapes)
        if headers[picture].is_turned and candidate.shapes and not states_size:
            turned.setdefault(candidate.where, []).append(picture)
    findings = (_check_turned(where, pictures, chosen, headers) for where, pictures in turned.items())
    return [finding for finding in findings if finding is not None]


def _check_turned(
    where: str, pictures: Sequence[Path], chosen: Mapping[Path, Candidate], headers: Mapping[Path, Header]
) -> Finding | None:
    """One program wrote the file: where some objects fit in one way alone, all of them are meant so."""
    after = {one for one in pictures if _lies_within(chosen[one], headers[one].size)}
    before = {
        one for one in pictures if chosen[one].is_in_fractions or _lies_within(chosen[one], headers[one].size[::-1])
    }
    is_before = bool(before - after) and len(before - after) >= len(after - before)
    doubtful = [one for one in pictures if one in (before - after if is_before else before & after)]
    if not doubtful or (after - before and not is_before):
        return None
    first, shape = doubtful[0], chosen[doubtful[0]].shapes[0]
    left, top, right, bottom = shape.box
    box = f"from ({left:g}, {top:g}) to ({right:g}, {bottom:g})"
    pictures_are = counted(len(doubtful), "picture is", "pictures are")
    fit = "only before the turn" if is_before else "before and after the turn"
    problem = (
        f"{pictures_are} turned by EXIF; no size is stated, and the objects fit {fit}: {first.as_posix()} is "
        f"{wide_by_high(headers[first].size)} as you see it, {shape.place} reaches {box}"
    )
    severity = Severity.ERROR if is_before else Severity.WARNING
    return Finding(file=where, problem=problem, action=_BEFORE if is_before else _EITHER, severity=severity)


def _action(candidate: Candidate, stated: tuple[int, int], header: Header) -> str:
    if stated == header.size[::-1] and header.is_turned:
        return _TURNED
    if any(shape.run_length for shape in candidate.shapes) or not _lies_within(candidate, header.size):
        return _OTHER
    if stated == header.size[::-1]:
        return _SWAPPED
    differences = [abs(one - other) for one, other in zip(stated, header.size, strict=True)]
    return _ROUNDED if max(differences) <= 1 else _OTHER


def _lies_within(candidate: Candidate, size: tuple[int, int]) -> bool:
    """Annotated by hand, an object may pass the edge by a pixel."""
    height, width = size
    return all(
        min(shape.box[0], shape.box[1]) >= -1 and shape.box[2] <= width + 1 and shape.box[3] <= height + 1
        for shape in candidate.shapes
    )
