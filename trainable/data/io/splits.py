"""Train, validation and test splits that depend on names and contents alone: never on order, clock or machine.

Every group (all frames of one video, all tiles or copies of one picture) goes to one split. Within each fifth of the
foreground fractions the groups stand in the order of a hash of their name, and each split takes its share of it;
a group's place follows from its own hash, so that adding files moves few others. Another seed is another such order.
Labelled images are dealt out class by class instead.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from trainable.data.io.counted import counted
from trainable.data.io.findings import Finding

MAX_STRATA = 5
DIVISION_VERSION = 2
"""Version of `stratified_class_split`: part of the keys of caches that hold its splits."""
_MIN_GROUPS_PER_STRATUM = 5

Label = TypeVar("Label", int, str)

SPLIT_NAMES = ("train", "validation", "test")
FRACTIONS = (0.6, 0.2, 0.2)
"""Shares of train, validation and test unless others are given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """Three disjoint sets; a search trains on the first, compares on the second and never opens the third."""

    train: Any
    """The task's own type of set, with a length."""
    validation: Any
    test: Any
    fingerprint: dict[str, str]
    """sha256 over names and contents: one for each of `train`, `validation`, `test`, and `all`."""
    findings: tuple[Finding, ...] = ()
    """Findings on what was left out of a folder, and on how the rest was read."""


def check_drawn(what: str, *, split_seed: int, split_fractions: Sequence[float] | None) -> None:
    """Raises ValueError where embedded data would be divided: each of its splits is drawn by itself."""
    for name, value, unset in (("split_seed", split_seed, 0), ("split_fractions", split_fractions, None)):
        if value != unset:
            raise ValueError(f"{name} is {value}, but the embedded {what} are drawn, not divided; give --data with it.")


@dataclass(frozen=True, slots=True, kw_only=True)
class DivisionOptions:
    """How a folder is divided where its own folders or lists name no splits."""

    group_pattern: str | None = None
    """Regular expression that finds in a file's name the source that it shares with others, all of one split; None:
    what a name calls a copy, a table a patient or a group, or an eye's name its patient, shares its source."""
    keep_alike: bool | None = None
    """Pictures that look the same stay in one split; None: unless a group_pattern says what belongs together."""
    fractions: tuple[float, float, float] = FRACTIONS
    """Shares of train, validation and test, sum 1; a split that has its own folder leaves its share to the others."""
    split_seed: int = 0
    """Which of the possible divisions into these splits, 0 or more."""

    @property
    def keeps_alike(self) -> bool:
        return self.group_pattern is None if self.keep_alike is None else self.keep_alike

    def check_division(self) -> None:
        """Raises ValueError for wrong shares, a negative seed, or a pattern that is not a regular expression."""
        if len(self.fractions) != 3 or min(self.fractions) <= 0 or abs(sum(self.fractions) - 1) > 1e-6:
            raise ValueError(
                f"split_fractions is {self.fractions}, but must be three positive shares, of train, validation and "
                "test, that add up to 1."
            )
        if self.split_seed < 0:
            raise ValueError(f"split_seed is {self.split_seed}, but must be 0 or more.")
        try:
            re.compile(self.group_pattern or "")
        except re.error as error:
            raise ValueError(
                f"group_pattern is {self.group_pattern!r}, which is not a regular expression ({error}); "
                r"for frames named clip_0001 it would be '(.+)_\d+'."
            ) from error


def group_ids(names: Sequence[str], digests: Sequence[str], pattern: str | None = None) -> list[str]:
    """The source of each image: what the pattern finds in its name, or the name; equal contents join their groups.

    Raises:
        ValueError: a name does not hold the pattern.
    """
    ids = list(names) if pattern is None else matched_sources(names, pattern)
    first_with: dict[str, int] = {}
    return join_groups(ids, ((row, first_with.setdefault(digest, row)) for row, digest in enumerate(digests)))


def join_groups(groups: Sequence[str], twins: Iterable[tuple[int, int]]) -> list[str]:
    """The groups after those of each two rows became one, which has the first of their names."""
    joined: dict[str, str] = {}

    def root(group: str) -> str:
        while group in joined:
            group = joined[group]
        return group

    for row, other in twins:
        one, two = root(groups[row]), root(groups[other])
        if one != two:
            joined[max(one, two)] = min(one, two)
    return [root(group) for group in groups]


def stratified_group_split(
    groups: Sequence[str], foregrounds: Sequence[float], shares: Mapping[str, float], *, seed: int = 0
) -> list[str]:
    """The split of each image. Every split gets at least one group and about its share of the images.

    With another seed the groups are dealt out anew, as chance would; what a search has seen under one seed may be
    tested under the next.

    Raises:
        ValueError: there are fewer groups than splits, or no image.
    """
    if not groups:
        raise ValueError(
            "no picture is of train: folders or lists say another split of each. Put pictures into a folder train, or "
            "give the folder a name that says no split."
        )
    members: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    if len(members) < len(shares):
        raise ValueError(
            f"{counted(len(groups), 'image')} in {counted(len(members), 'group')} cannot be split into "
            f"{', '.join(shares)}: at least {len(shares)} groups are needed."
        )
    order = _order(members, foregrounds, seed)
    split_of = dict(zip(order, _cut([len(members[group]) for group in order], shares), strict=True))
    return [split_of[group] for group in groups]


def stratified_class_split(
    groups: Sequence[str], labels: Sequence[Label], shares: Mapping[str, float], *, seed: int = 0
) -> list[str]:
    """The split of each image, class by class; a group of several classes counts as one of its rarest.

    A class with fewer groups than splits is in the first splits alone, train first. One with more is in every split,
    unless that would take another class from one.
    """
    members: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    num_images = Counter(labels)
    strata: dict[Label, list[str]] = {}
    for group in sorted(members, key=lambda group: _hash(group, seed)):
        rarest = min((labels[row] for row in members[group]), key=lambda label: (num_images[label], label))
        strata.setdefault(rarest, []).append(group)
    split_of: dict[str, str] = {}
    for stratum in strata.values():
        split_of |= _dealt({group: len(members[group]) for group in stratum}, shares)
    _bring_missing_classes(
        split_of, {group: {labels[row] for row in rows} for group, rows in members.items()}, list(shares)
    )
    return [split_of[group] for group in groups]


def _dealt(sizes: Mapping[str, int], shares: Mapping[str, float]) -> dict[str, str]:
    """The split of each group of a class, in order; by size where the first would get less than half its share."""
    kept = dict(list(shares.items())[: len(sizes)])
    first, least = next(iter(kept)), sum(sizes.values()) * next(iter(kept.values())) / sum(kept.values()) / 2
    splits = dict(zip(sizes, _cut([*sizes.values()], kept), strict=True))
    if sum(sizes[group] for group, split in splits.items() if split == first) >= least:
        return splits
    largest_first = sorted(sizes, key=lambda group: -sizes[group])
    return dict(zip(largest_first, _cut([sizes[group] for group in largest_first], kept), strict=True))


def _bring_missing_classes(
    split_of: dict[str, str], classes_of: Mapping[str, set[Label]], splits: Sequence[str]
) -> None:
    """Moves groups of several classes: a class with enough groups comes to every split, one with fewer to the first.

    A group leaves a split only where others of its classes stay, or to bring its class to the first split.
    """
    groups_of: dict[Label, list[str]] = {}
    for group in split_of:
        for label in classes_of[group]:
            groups_of.setdefault(label, []).append(group)
    for label, groups in sorted(groups_of.items(), key=lambda item: (len(item[1]), item[0])):
        for split in splits:
            if any(split_of[group] == split for group in groups):
                continue
            counts = Counter((split_of[group], own) for group in split_of for own in classes_of[group])
            needed = {group: classes_of[group] - ({label} if split == splits[0] else set()) for group in groups}
            movable = [group for group in groups if all(counts[split_of[group], own] > 1 for own in needed[group])]
            if movable:
                split_of[max(movable, key=lambda group: counts[split_of[group], label])] = split


def matched_sources(names: Sequence[str], pattern: str) -> list[str]:
    """The part of each name that the pattern matches: its first group, or all of the match.

    Raises:
        ValueError: a name does not hold it.
    """
    regex = re.compile(pattern)
    matches = [regex.search(name) for name in names]
    found = [match[1 if regex.groups else 0] if match else None for match in matches]
    sources = [source for source in found if source is not None]
    unmatched = [name for name, source in zip(names, found, strict=True) if source is None]
    if unmatched:
        raise ValueError(
            f"group_pattern {pattern!r} is not found in {len(unmatched)} of {len(names)} names, such as "
            f"{unmatched[0]!r}; it must hold the source of every image, in its first parentheses if there are any."
        )
    return sources


def _order(members: Mapping[str, Sequence[int]], foregrounds: Sequence[float], seed: int) -> list[str]:
    """Groups by their place from 0 to 1 within their stratum, which deals every stratum out evenly."""
    means = {group: float(np.mean([foregrounds[row] for row in rows])) for group, rows in members.items()}
    num_strata = max(1, min(MAX_STRATA, len(members) // _MIN_GROUPS_PER_STRATUM))
    edges = np.quantile(list(means.values()), np.arange(1, num_strata) / num_strata)
    strata: dict[int, list[str]] = {}
    for group in sorted(members, key=lambda group: _hash(group, seed)):
        strata.setdefault(int(np.searchsorted(edges, means[group], side="right")), []).append(group)
    place: dict[str, float] = {}
    for stratum in strata.values():
        sizes = np.array([len(members[group]) for group in stratum])
        place.update(zip(stratum, (np.cumsum(sizes) - sizes / 2) / sizes.sum(), strict=True))
    return sorted(members, key=lambda group: (place[group], _hash(group, seed)))


def _cut(sizes: Sequence[int], shares: Mapping[str, float]) -> list[str]:
    """The split of each group in order: cut where the middle of a group passes the share, leaving none empty."""
    middles = np.cumsum(sizes) - np.array(sizes) / 2
    bounds = np.cumsum(list(shares.values()))[:-1] / sum(shares.values()) * sum(sizes)
    cuts = [int(cut) for cut in np.searchsorted(middles, bounds)]
    for place in range(len(cuts)):
        cuts[place] = max(cuts[place], cuts[place - 1] + 1 if place else 1)
    for place in reversed(range(len(cuts))):
        cuts[place] = min(cuts[place], (cuts[place + 1] if place + 1 < len(cuts) else len(sizes)) - 1)
    lengths = np.diff([0, *cuts, len(sizes)])
    return [split for split, length in zip(shares, lengths, strict=True) for _ in range(length)]


def _hash(group: str, seed: int) -> str:
    """Seed 0 adds nothing, so that splits made before there was a seed stay what they were."""
    salt = f"\n{seed}" if seed else ""
    return hashlib.sha256(f"{group}{salt}".encode()).hexdigest()
