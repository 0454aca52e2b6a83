"""What the check of a folder found: told in the log, and kept with the splits for the report of a search."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from trainable.data.io.findings import Finding, format_summary
from trainable.data.io.splits import Splits

logger = logging.getLogger(__name__)
AnySplits = TypeVar("AnySplits", bound=Splits)


def with_findings(splits: AnySplits, findings: Sequence[Finding]) -> AnySplits:
    """The splits with the findings, which are logged."""
    if findings:
        logger.info("%s", format_summary(findings))
    return replace(splits, findings=tuple(findings))
