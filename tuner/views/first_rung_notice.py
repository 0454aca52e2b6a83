"""Tells a running search, once, that nothing has been learned at its first rung."""

import logging
from pathlib import Path

from tuner.records import SearchRecord
from tuner.records.events import EpochDone, Event
from tuner.records.recorder import Listener
from tuner.records.trivial import TRIVIAL
from tuner.results.above_trivial import warning_at_first_rung

logger = logging.getLogger(__name__)


class FirstRungNotice(Listener):
    """Warns once; silent without a trivial score."""

    def __init__(self, results: Path) -> None:
        self._score = TRIVIAL.read(results).get("validation")

    def on_event(self, search: SearchRecord, event: Event) -> None:
        if self._score is None or not isinstance(event, EpochDone):
            return
        warning = warning_at_first_rung(search, self._score)
        if warning is not None:
            logger.warning("%s", warning)
            self._score = None
