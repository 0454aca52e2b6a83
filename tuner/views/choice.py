"""Which view of a running search suits the place that it is shown in."""

from pathlib import Path
from typing import TextIO

from rich.console import Console

from trainable.reporting.waiting import Waiting
from tuner.records import SearchRecord
from tuner.records.events import EpochDone, Event
from tuner.records.recorder import Listener
from tuner.views.live_view import LiveView
from tuner.views.notebook_view import NotebookView
from tuner.views.plain_view import PlainView
from tuner.views.view import View


def make_view(stream: TextIO, search: SearchRecord, *, results: Path, dashboard: str | None = None) -> View:
    """Makes a table that stays in place on a capable terminal or in a notebook, else plain lines.

    NO_COLOR switches colours off.
    """
    console = Console(file=stream, highlight=False)
    if console.is_jupyter:
        return NotebookView(search, results=results, dashboard=dashboard, console=console)
    if console.is_terminal and not console.is_dumb_terminal and not console.options.ascii_only:
        return LiveView(search, results=results, dashboard=dashboard, console=console)
    return PlainView(search, results=results, dashboard=dashboard, stream=stream)


class StartingNotice(Listener):
    """Says that the first trials are starting, until the first epoch of its session has ended."""

    def __init__(self) -> None:
        self._waiting = Waiting("Starting the first trials")

    def on_event(self, search: SearchRecord, event: Event) -> None:
        if isinstance(event, EpochDone):
            self._waiting.end()

    def close(self) -> None:
        self._waiting.end()


def starting_notices(view: View) -> list[StartingNotice]:
    """Adds a notice for views that change only with events and would show nothing new until the first epoch."""
    return [] if isinstance(view, LiveView) else [StartingNotice()]
