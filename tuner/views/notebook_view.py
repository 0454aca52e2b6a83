"""The view of a running search in a notebook: the table of the terminal, in the output of the cell that searches."""

from pathlib import Path
from typing import Any

from rich.console import Console

from tuner.records import SearchRecord
from tuner.views.live_view import LiveView
from tuner.views.view import View


class NotebookView(View):
    """Redraws its table in place after each event; other output of the cell stays, and so does the last table."""

    def __init__(self, search: SearchRecord, *, results: Path, dashboard: str | None, console: Console) -> None:
        self._table = LiveView(search, results=results, dashboard=dashboard, console=console)
        self._shown: Any = None

    def start(self) -> None:
        # Comes with every notebook.
        from IPython.display import display

        self._shown = display(self._table.draw(), display_id=True)

    def update(self, search: SearchRecord) -> None:
        self._table.update(search)
        if self._shown is not None:
            self._shown.update(self._table.draw())
