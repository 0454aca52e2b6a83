"""report.html of a search that runs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tuner.budget.time_left import TimeLeft, time_left
from tuner.records import SearchRecord
from tuner.results.headline import State
from tuner.views.html.content import read_result
from tuner.views.html.page import write_page
from tuner.views.view import View


@dataclass(frozen=True, slots=True)
class LivePage(View):
    """Writes the page of its state after each event; the report writes the last page.

    Parameters come at the end, because importance takes seconds.
    """

    folder: Path
    state: State = State.RUNNING
    time_left: Callable[[SearchRecord], TimeLeft | None] = time_left

    def update(self, search: SearchRecord) -> None:
        result = read_result(self.folder, search, self.state, left=self.time_left(search))
        write_page(result, self.folder)
