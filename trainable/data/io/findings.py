"""Findings of the checks of a data folder: a table by file name, and the error that holds all of them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from trainable.data.io.counted import counted

MOST_SHOWN = 10
_FILE = "findings.json"


class Severity(StrEnum):
    """In order: an error stops the search before its first trial; a warning and a note do not."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing about one file, or about all of them."""

    file: str
    """Path below the data folder."""
    problem: str
    """The problem, with its numbers."""
    action: str
    """Advice to the user, or what was done; equal for findings of one kind, which the table groups."""
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingKind:
    """Findings about which the same was done, as a search records them and a report shows them."""

    severity: Severity
    action: str
    number: int
    """Number of all findings."""
    first: tuple[tuple[str, str], ...]
    """File and problem of the first `MOST_SHOWN`."""


def note(file: str, problem: str, action: str) -> Finding:
    """Worth knowing; nothing is wrong."""
    return Finding(file=file, problem=problem, action=action, severity=Severity.NOTE)


class BadFileError(ValueError):
    """One file that cannot be used; becomes a finding where its name is known."""

    def __init__(self, problem: str, action: str) -> None:
        super().__init__(problem, action)
        self.problem = problem
        self.action = action

    def __str__(self) -> str:
        return f"{self.problem}. {self.action}"

    def finding(self, file: str) -> Finding:
        return Finding(file=file, problem=self.problem, action=self.action)


class DataError(ValueError):
    """The data cannot be used as it is. The message holds every problem found, not only the first."""

    def __init__(self, sentence: str, findings: Iterable[Finding] = ()) -> None:
        self.findings = tuple(findings)
        serious = [finding for finding in self.findings if finding.severity is not Severity.NOTE]
        super().__init__("\n".join([sentence, format_table(serious)]) if serious else sentence)


def errors_among(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity is Severity.ERROR]


def refuse_errors(findings: Sequence[Finding], root: Path, images: str) -> None:
    """Raises DataError with all findings when one of them is an error; `images` is such as "80 photographs"."""
    if errors := errors_among(findings):
        what = counted(len(errors), "problem")
        raise DataError(f"{root} cannot be used: {what} in {images}.", findings)


def write_findings(folder: Path, findings: Iterable[Finding]) -> None:
    """Keeps them beside the data in the cache, for everyone who opens it later."""
    (folder / _FILE).write_text(json.dumps([asdict(finding) for finding in findings]), encoding="utf-8")


def read_findings(folder: Path) -> tuple[Finding, ...]:
    """Reads the findings that `write_findings` wrote."""
    lines = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    return tuple(Finding(**{**line, "severity": Severity(line["severity"])}) for line in lines)


def format_table(findings: Sequence[Finding], *, max_rows: int = MOST_SHOWN) -> str:
    """Plain text, errors first: one block for each kind of problem, with at most `max_rows` files in it."""
    lines = []
    for (severity, action), rows in _by_kind(findings).items():
        shown = rows if len(rows) == max_rows + 1 else rows[:max_rows]
        width = max(len(row.file) for row in shown)
        lines += [f"{severity}: {action}", *(f"  {row.file:<{width}}  {row.problem}" for row in shown)]
        if len(rows) > len(shown):
            lines.append(f"  and {len(rows) - len(shown)} more")
    return "\n".join(lines)


def kinds_of(findings: Sequence[Finding]) -> tuple[FindingKind, ...]:
    """One for each kind of problem, errors first."""
    return tuple(
        FindingKind(
            severity=severity,
            action=action,
            number=len(rows),
            first=tuple((row.file, row.problem) for row in rows[:MOST_SHOWN]),
        )
        for (severity, action), rows in _by_kind(findings).items()
    )


def _by_kind(findings: Sequence[Finding]) -> dict[tuple[Severity, str], list[Finding]]:
    kinds: dict[tuple[Severity, str], list[Finding]] = {}
    for severity in Severity:
        for finding in findings:
            if finding.severity is severity:
                kinds.setdefault((severity, finding.action), []).append(finding)
    return kinds
