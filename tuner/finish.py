"""After the last trial: the report, the winner's files, and a sentence about each."""

import sys
from pathlib import Path

from tuner import wording
from tuner.confirm import is_confirmed
from tuner.export import CONFIG, export
from tuner.records import SearchRecord

INTERRUPTED = 130


def finish(folder: Path, search: SearchRecord) -> int:
    """Writes what the records allow and says what to do next; returns the exit status of the search."""
    # Its figures take as long to import as a trial takes to begin.
    from tuner.report import write_report

    report = write_report(folder)
    lines = [f"Report      {report}"]
    if search.winner is not None:
        lines += _handed_over(folder)
    else:
        lines.append(f"Winner      none: {_why_none(search)}")
    was_interrupted = not is_over(folder, search)
    if was_interrupted:
        lines.append(f"Go on       python -m tuner.search --resume {wording.argument(folder)}")
    sys.stdout.write("\n".join(lines) + "\n")
    return INTERRUPTED if was_interrupted else 0


def is_over(folder: Path, search: SearchRecord) -> bool:
    """Nothing is left to train: every trial has ended, and the best are confirmed as asked."""
    top = search.settings.confirm
    return not search.is_unfinished and (top == 0 or search.winner is None or is_confirmed(folder, search, top))


def _why_none(search: SearchRecord) -> str:
    if search.is_unfinished and not any(trial.results for trial in search.trials):
        return "interrupted before any epoch ended."
    return "no trial gave a finite objective; the report says what ended each."


def _handed_over(folder: Path) -> list[str]:
    try:
        config = export(folder) / CONFIG
    except ValueError as error:
        return [f"Winner      not handed over: {error}"]
    return [f"Winner      {config}", f"Train it    python -m trainable.train --config {wording.argument(config)}"]
