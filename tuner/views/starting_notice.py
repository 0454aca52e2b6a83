"""Says that the first trials are starting, until the first epoch has ended."""

from trainable.reporting.waiting import Waiting
from tuner.records import SearchRecord
from tuner.records.events import EpochDone, Event


class StartingNotice:
    """A listener; silent from the first epoch of its session on."""

    def __init__(self) -> None:
        self._waiting = Waiting("Starting the first trials")

    def on_event(self, search: SearchRecord, event: Event) -> None:
        if isinstance(event, EpochDone):
            self._waiting.end()

    def close(self) -> None:
        self._waiting.end()
