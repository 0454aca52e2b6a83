"""Tells a running search, once, that nothing has been learned at its first rung."""

import logging
from pathlib import Path

from tuner.records import SearchRecord
from tuner.records.events import EpochDone, Event
from tuner.records.trivial import read_trivial
from tuner.results.above_trivial import warning_at_first_rung

logger = logging.getLogger(__name__)


class FirstRungNotice:
    """A listener; silent where no trivial score was measured, and after its warning."""

    def __init__(self, results: Path) -> None:
        self._score = read_trivial(results).get("validation")

    def on_event(self, search: SearchRecord, event: Event) -> None:
        if self._score is None or not isinstance(event, EpochDone):
            return
        warning = warning_at_first_rung(search, self._score)
        if warning is not None:
            logger.warning("%s", warning)
            self._score = None

    def close(self) -> None:
        """Nothing is open."""
