"""Which view of a running search suits the place that it is shown in."""

from pathlib import Path
from typing import Protocol, TextIO

from rich.console import Console

from tuner.records import SearchRecord
from tuner.views.live_view import LiveView
from tuner.views.notebook_view import NotebookView
from tuner.views.plain_view import PlainView
from tuner.views.starting_notice import StartingNotice


class View(Protocol):
    """Shows a running search."""

    def start(self) -> None: ...

    def update(self, search: SearchRecord) -> None: ...

    def message(self, text: str) -> None: ...

    def stop(self) -> None: ...


def make_view(stream: TextIO, search: SearchRecord, *, results: Path, dashboard: str | None = None) -> View:
    """A table that stays in place on a capable terminal and in a notebook, else plain lines.

    NO_COLOR switches colours off.
    """
    console = Console(file=stream, highlight=False)
    if console.is_jupyter:
        return NotebookView(search, results=results, dashboard=dashboard, console=console)
    if console.is_terminal and not console.is_dumb_terminal and not console.options.ascii_only:
        return LiveView(search, results=results, dashboard=dashboard, console=console)
    return PlainView(search, results=results, dashboard=dashboard, stream=stream)


def starting_notices(view: View) -> list[StartingNotice]:
    """For a view that changes with events alone, and would show nothing new until the first epoch."""
    return [] if isinstance(view, LiveView) else [StartingNotice()]
