"""Divides the pictures whose split nobody names; those that look the same stay in one split."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainable.data.io.findings import Finding
from trainable.data.io.folder_layout import plain_name
from trainable.data.io.splits import DivisionOptions
from trainable.data.splitting.lookalikes import keep_alike_together
from trainable.data.splitting.split_names import keep_named_splits


def divide_pictures(
    files: Sequence[Path],
    named: Sequence[str | None],
    groups: Sequence[str],
    looks: np.ndarray,
    options: DivisionOptions,
    findings: list[Finding],
    *,
    stratify: Callable[..., Sequence[str]],
    by: Sequence[Any],
) -> list[str]:
    """The split of each picture: the named one, else as its group is divided.

    Args:
        looks: the pictures' signatures, shape (N, 4).
        findings: a warning is added that counts the pictures that look the same.
        stratify: `stratified_group_split` or `stratified_class_split`; what it raises is raised here.
        by: foreground or label of each picture.
    """

    def deal(rows: list[int], shares: Mapping[str, float]) -> Sequence[str]:
        own = [groups[row] for row in rows]
        if options.keeps_alike and len(shares) > 1:
            own, alike = keep_alike_together([plain_name(files[row]) for row in rows], own, looks[rows])
            findings.extend(alike)
        return stratify(own, [by[row] for row in rows], shares, seed=options.split_seed)

    return keep_named_splits(named, options.fractions, deal)
