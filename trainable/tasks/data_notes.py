"""What the check of the data found: told in the log, and kept with the splits for the report of a search."""

import logging
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

from trainable.data.io.findings import Finding, format_summary, note
from trainable.data.io.splits import Splits

logger = logging.getLogger(__name__)
AnySplits = TypeVar("AnySplits", bound=Splits)


def of_folders_alone(data: Any, names: Sequence[str], *, drawn: str) -> list[Finding]:
    """Notes of what is set for nothing: the fields `names`, which say how a folder is read, where data is `drawn`."""
    defaults = {field.name: field.default for field in fields(data)}
    given = {name: getattr(data, name) for name in names if getattr(data, name) != defaults[name]}
    action = "Has no effect here, since it says how a folder is read; give --data with it, or leave it out."
    return [note(name, f"is {value}, but the embedded {drawn} are drawn", action) for name, value in given.items()]


def with_findings(splits: AnySplits, findings: Sequence[Finding]) -> AnySplits:
    """The splits with the findings, which are logged."""
    if findings:
        logger.info("%s", format_summary(findings))
    return replace(splits, findings=tuple(findings))
