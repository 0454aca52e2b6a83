"""The same picture, or the same source, in two splits: a test on training images proves nothing."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from trainable.data.image_mask.pairs import Pair
from trainable.data.io.findings import Finding, Severity
from trainable.data.io.folder_layout import plain_name

LEAKED_STEMS = ("COD10K-CAM-1-Aquatic-3-Crab-32", "COD10K-CAM-2-Terrestrial-23-Cat-1506")
"""In both splits of COD10K as published (noted by Fan et al., Concealed Object Detection, in the SINet-V2 code)."""


def without_known_leaks(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Finding]]:
    """Leaves COD10K's two double images out of training where the folder holds them in both splits."""
    tested = {pair.image.stem for pair in pairs if pair.split == "test"}.intersection(LEAKED_STEMS)
    leaked = [pair for pair in pairs if pair.split != "test" and pair.image.stem in tested]
    warnings = [
        Finding(
            file=plain_name(pair.image),
            problem="is in COD10K's training split and in its test split",
            action="Left out of training; nothing to do.",
            severity=Severity.WARNING,
        )
        for pair in leaked
    ]
    return [pair for pair in pairs if pair not in leaked], warnings


def check_leakage(pairs: Sequence[Pair], groups: Sequence[str], digests: Mapping[Path, str]) -> list[Finding]:
    """An error for every group in two splits that the folders name, a warning for copies that can stay together."""
    first_in_group: dict[str, Pair] = {}
    findings = []
    for pair, group in zip(pairs, groups, strict=True):
        first = first_in_group.setdefault(group, pair)
        file, other = plain_name(pair.image), plain_name(first.image)
        split, other_split = pair.split or "train", first.split or "train"
        is_copy = digests[pair.image] == digests[first.image]
        if split != other_split:
            same = "is the same picture as" if is_copy else f"has the same source {group!r} as"
            problem = f"({split}) {same} {other} ({other_split})"
            action = "Remove one of the two: what is trained on cannot be tested on."
            findings.append(Finding(file=file, problem=problem, action=action))
        elif is_copy and pair is not first:
            problem = f"is the same picture as {other}"
            action = "Both stay in the same split; nothing to do, or remove one."
            findings.append(Finding(file=file, problem=problem, action=action, severity=Severity.WARNING))
    return findings
