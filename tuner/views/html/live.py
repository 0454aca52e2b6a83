"""report.html of a search that runs."""

import logging
from pathlib import Path

from tuner.records import SearchRecord
from tuner.results.headline import State
from tuner.views.html.content import read_result
from tuner.views.html.page import write_page

logger = logging.getLogger(__name__)


class LivePage:
    """A view that writes the page of its state; parameters come at the end, because importance takes seconds."""

    def __init__(self, folder: Path, state: State = State.RUNNING) -> None:
        self._folder, self._state = folder, state

    def start(self) -> None:
        """The first event writes it."""

    def update(self, search: SearchRecord) -> None:
        write_page(read_result(self._folder, search, self._state), self._folder)

    def message(self, text: str) -> None:
        """Messages are for the terminal."""

    def stop(self) -> None:
        """The report writes the last page."""
