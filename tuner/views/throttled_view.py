"""A view whose share of the time is bounded, however many trials there are."""

import time
from collections.abc import Callable

from tuner.records import SearchRecord
from tuner.records.events import Event
from tuner.records.recorder import Listener
from tuner.views.view import View

MAX_SHARE = 0.05
"""Largest share of the driver's time spent on drawing."""


class ThrottledView(Listener):
    """Delays updates so that drawing takes at most MAX_SHARE of the time; `catch_up` draws a delayed one.

    Args:
        pause_seconds: least time between two drawings, however short they are.
    """

    def __init__(self, view: View, *, clock: Callable[[], float] = time.monotonic, pause_seconds: float = 0.0) -> None:
        self._view, self._clock, self._pause_seconds = view, clock, pause_seconds
        self._due = clock()
        self._delayed: SearchRecord | None = None
        self._view.start()

    def on_event(self, search: SearchRecord, event: Event) -> None:
        self._delayed = search
        self.catch_up()

    def catch_up(self) -> None:
        if self._delayed is not None and self._clock() >= self._due:
            self._show(self._delayed)

    def close(self) -> None:
        if self._delayed is not None:
            self._show(self._delayed)
        self._view.stop()

    def _show(self, search: SearchRecord) -> None:
        began = self._clock()
        self._view.update(search)
        ended = self._clock()
        self._delayed, self._due = None, ended + max(self._pause_seconds, (ended - began) / MAX_SHARE)
