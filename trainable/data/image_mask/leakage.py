"""The same picture, or the same source, in two parts: a test on training images proves nothing."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from trainable.data.image_mask.pairs import Pair
from trainable.data.io.findings import Finding, Severity
from trainable.data.io.folder_layout import plain_name

LEAKED_STEMS = ("COD10K-CAM-1-Aquatic-3-Crab-32", "COD10K-CAM-2-Terrestrial-23-Cat-1506")
"""In both parts of COD10K as published (noted by Fan et al., Concealed Object Detection, in the SINet-V2 code)."""


def without_known_leaks(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Finding]]:
    """Leaves COD10K's two double images out of training where the folder holds them in both parts."""
    tested = {pair.image.stem for pair in pairs if pair.split == "test"}.intersection(LEAKED_STEMS)
    leaked = [pair for pair in pairs if pair.split != "test" and pair.image.stem in tested]
    warnings = [
        Finding(
            file=plain_name(pair.image),
            problem="is in COD10K's training and test part alike",
            action="Left out of training; nothing to do.",
            severity=Severity.WARNING,
        )
        for pair in leaked
    ]
    return [pair for pair in pairs if pair not in leaked], warnings


def check_leakage(pairs: Sequence[Pair], groups: Sequence[str], digests: Mapping[Path, str]) -> list[Finding]:
    """An error for every group in two parts that the folders name, a warning for copies that can stay together."""
    first_in_group: dict[str, Pair] = {}
    findings = []
    for pair, group in zip(pairs, groups, strict=True):
        first = first_in_group.setdefault(group, pair)
        is_copy = digests[pair.image] == digests[first.image]
        if _part(pair) != _part(first):
            findings.append(_in_two_parts(pair, first, None if is_copy else group))
        elif is_copy and pair is not first:
            findings.append(_copy(pair, first))
    return findings


def _part(pair: Pair) -> str:
    return pair.split or "train"


def _in_two_parts(pair: Pair, first: Pair, group: str | None) -> Finding:
    what = "is the same picture as" if group is None else f"has the same source {group!r} as"
    return Finding(
        file=plain_name(pair.image),
        problem=f"({_part(pair)}) {what} {plain_name(first.image)} ({_part(first)})",
        action="Remove one of the two: what is trained on cannot be tested on.",
    )


def _copy(pair: Pair, first: Pair) -> Finding:
    return Finding(
        file=plain_name(pair.image),
        problem=f"is the same picture as {plain_name(first.image)}",
        action="Both stay in the same part; nothing to do, or remove one.",
        severity=Severity.WARNING,
    )
