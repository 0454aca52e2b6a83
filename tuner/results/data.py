"""Describes the data of a search: the classes of each split, what was left out, and how the rest was read."""

from collections.abc import Sequence
from typing import NamedTuple

from tuner import formatting
from tuner.records import RecordedSettings
from tuner.results.report_text import table

MOST_ROWS = 20
"""Rows of a table in the report; the page shows all."""
MOST_NAMED = 3


class Found(NamedTuple):
    """A problem that the check of a folder found in one or more files."""

    problem: str
    where: str
    action: str


def counts_by_split(settings: RecordedSettings) -> list[tuple[str, ...]]:
    """A row for the images and one for each class: its name, and its number in each split of `settings.images`."""
    classes = dict.fromkeys(name for counts in settings.class_counts.values() for name in counts)
    rows = [("images", *map(str, settings.images.values()))] if settings.images else []
    for name in classes:
        counts = (settings.class_counts.get(split, {}).get(name) for split in settings.images)
        rows.append((name, *("-" if count is None else str(count) for count in counts)))
    return rows


def found_in_data(settings: RecordedSettings) -> list[Found]:
    """Warnings first; files of the same problem together."""
    rows = []
    for kind in settings.data_findings:
        files: dict[str, list[str]] = {}
        for file, problem in kind.first:
            files.setdefault(problem, []).append(file)
        num_more = kind.number - len(kind.first)
        # The problems of those that are not on record are known where all others have the same.
        extra = num_more if len(files) == 1 else 0
        for problem, own in files.items():
            number = len(own) + extra
            named = ", ".join(own[:MOST_NAMED])
            where = named if number <= len(own[:MOST_NAMED]) else f"{number} files, such as {named}"
            rows.append(Found(problem, where, kind.action))
        if num_more > extra:
            rows.append(Found("of this kind", f"{num_more} more", kind.action))
    return rows


def data_section(settings: RecordedSettings) -> str:
    """The section of the report, in Markdown; empty where nothing is on record."""
    counts, found = counts_by_split(settings), found_in_data(settings)
    if not settings.class_counts and not found:
        return ""
    parts = ["## Data"]
    if counts:
        parts.append(_shorten(("", *settings.images), counts))
    if found:
        parts.append(_shorten(("what was found", "where", "what was done, or what to do"), found))
    return "\n\n".join(parts)


def _shorten(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    more = len(rows) - MOST_ROWS
    rest = f"\n\n{formatting.count(more, 'more row')}: see `report.html`." if more > 0 else ""
    return table(header, rows[:MOST_ROWS]) + rest
