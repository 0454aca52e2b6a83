"""A view that takes no more than its share of the time, however many trials it has to look through."""

import time
from collections.abc import Callable

from tuner.records import SearchRecord
from tuner.records.events import Event
from tuner.views.live_view import View

MAX_SHARE = 0.05
"""Of the driver's time that goes into showing how far the search is."""


class ThrottledView:
    """Delays updates so that drawing takes at most MAX_SHARE of the time; `catch_up` draws a delayed one."""

    def __init__(self, view: View, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._view, self._clock = view, clock
        self._due = clock()
        self._put_off: SearchRecord | None = None
        self._view.start()

    def on_event(self, search: SearchRecord, event: Event) -> None:
        self._put_off = search
        self.catch_up()

    def catch_up(self) -> None:
        if self._put_off is not None and self._clock() >= self._due:
            self._show(self._put_off)

    def close(self) -> None:
        if self._put_off is not None:
            self._show(self._put_off)
        self._view.stop()

    def _show(self, search: SearchRecord) -> None:
        began = self._clock()
        self._view.update(search)
        ended = self._clock()
        self._put_off, self._due = None, ended + (ended - began) / MAX_SHARE
