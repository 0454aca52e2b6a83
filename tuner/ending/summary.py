"""The last lines on the terminal: the headline of the page, the values on both splits, the files, three commands."""

from pathlib import Path

from tuner import formatting
from tuner.confirm.wanted import what_is_left
from tuner.export import CONFIG, FOLDER
from tuner.records import SearchRecord

NUM_COMMANDS = 3
_WIDTH = 12


def summary(folder: Path, search: SearchRecord, not_exported: str | None) -> list[str]:
    """An interruption first; then what came of the search.

    Args:
        not_exported: why nothing is exported; None where it is.
    """
    from tuner.report import outcome_lines
    from tuner.views.html.content import commands, read_result
    from tuner.views.html.page import PAGE

    result, left = read_result(folder, search), what_is_left(folder, search)
    exported = f"none: {not_exported}." if not_exported else formatting.path(folder / FOLDER / CONFIG)
    usable = {name: one for name, one in commands(result).items() if not (not_exported and f"/{CONFIG}" in one)}
    shown = list(usable.items())[:NUM_COMMANDS]
    width = max(len(name) for name, _ in shown) + 2
    return [
        *([] if left is None else [left]),
        f"{'Result':{_WIDTH}}{result.headline.sentence}",
        *outcome_lines(folder, search),
        f"{'Exported':{_WIDTH}}{exported}",
        f"{'Page':{_WIDTH}}{formatting.path(folder / PAGE)}",
        *(f"{name:{width}}{command}" for name, command in shown),
    ]
