"""Findings of the data check: logged, and kept with the splits for the report of a search."""

import logging
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

from trainable.data.io.findings import MOST_SHOWN, Finding, format_table, note
from trainable.data.io.splits import Splits

logger = logging.getLogger(__name__)
_MOST_LINES = 15
AnySplits = TypeVar("AnySplits", bound=Splits)


def of_folders_alone(data: Any, names: Sequence[str], *, drawn: str) -> list[Finding]:
    """Notes on fields `names` that have no effect: they say how to read a folder, but the data is `drawn`."""
    defaults = {field.name: field.default for field in fields(data)}
    given = {name: getattr(data, name) for name in names if getattr(data, name) != defaults[name]}
    action = "Has no effect here, since it says how a folder is read; give --data with it, or leave it out."
    return [note(name, f"is {value}, but the embedded {drawn} are drawn", action) for name, value in given.items()]


def with_findings(splits: AnySplits, added: Sequence[Finding] = ()) -> AnySplits:
    """Adds findings to those of the splits, and logs them all in a few lines.

    If they are too many, fewer files of each kind are shown, then only the first kinds.
    """
    findings = (*splits.findings, *added)
    lines: list[str] = []
    for max_rows in range(MOST_SHOWN, 0, -1):
        lines = format_table(findings, max_rows=max_rows).splitlines()
        if len(lines) <= _MOST_LINES:
            break
    else:
        lines[_MOST_LINES - 1 :] = [f"and more: {len(findings)} findings in all"]
    if findings:
        logger.info("%s", "\n".join(lines))
    return replace(splits, findings=findings)
