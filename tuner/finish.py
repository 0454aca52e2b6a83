"""After the last trial: the report, the winner's files, and a sentence about each."""

import sys
from pathlib import Path

from tuner.export import CONFIG, export
from tuner.preflight import is_over
from tuner.records import SearchRecord

INTERRUPTED = 130


def finish(folder: Path, record: SearchRecord) -> int:
    """Writes what the records allow and says what to do next; returns the exit status of the search."""
    # Its figures take as long to import as a trial takes to begin.
    from tuner.report import write_report

    report = write_report(folder)
    lines = [f"Report      {report}"]
    if record.winner is not None:
        lines += _handed_over(folder)
    else:
        lines.append(f"Winner      none: {_why_none(record)}")
    was_interrupted = not is_over(folder, record)
    if was_interrupted:
        lines.append(f"Go on       python -m tuner.search --resume {folder}")
    sys.stdout.write("\n".join(lines) + "\n")
    return INTERRUPTED if was_interrupted else 0


def _why_none(record: SearchRecord) -> str:
    if record.is_unfinished and not any(trial.results for trial in record.trials):
        return "interrupted before any epoch ended."
    return "no trial gave a finite objective; the report says what ended each."


def _handed_over(folder: Path) -> list[str]:
    try:
        config = export(folder) / CONFIG
    except ValueError as error:
        return [f"Winner      not handed over: {error}"]
    return [f"Winner      {config}", f"Train it    python -m trainable.train --config {config}"]
