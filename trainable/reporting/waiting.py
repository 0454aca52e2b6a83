"""Says what a command waits for, at once and again while it does: a silent screen looks like one that hangs."""

import logging
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from itertools import chain, repeat
from types import TracebackType
from typing import TextIO

from trainable.reporting.number_text import duration_text

WATCHED_SECONDS = 4.0
"""Between two lines on a terminal: never five, also on a busy machine."""
UNWATCHED_SECONDS = (5.0, 10.0, 20.0, 30.0)
"""Pauses in a file or a pipe, where nobody waits for the next line; the last one repeats."""

logger = logging.getLogger(__name__)


class Waiting(AbstractContextManager):
    """A step that may take seconds, such as an import: `Starting Ray ...`, later `Starting Ray ... 5 s`.

    A counted step shows its progress: `Opening the data ... 200 of 1000, 5 s, about 0:20 left`. It ends with its
    context, or with `end`.

    Args:
        unit: what is counted, such as ` MB`.
        pauses_seconds: times between two lines; None are those of standard error, a terminal or not.
    """

    def __init__(self, doing: str, *, unit: str = "", pauses_seconds: Iterable[float] | None = None) -> None:
        self._doing, self._unit, self._done, self._total = doing, unit, 0, 0
        self._pauses_seconds = pauses_of(sys.stderr) if pauses_seconds is None else pauses_seconds
        self._began, self._ended = time.monotonic(), threading.Event()
        logger.info("%s ...", doing)
        self._thread = threading.Thread(target=self._repeat, name=doing, daemon=True)
        self._thread.start()

    def count(self, done: int, total: int) -> None:
        """Sets the progress that the next line shows, with the time left extrapolated from it."""
        self._done, self._total = done, total

    def end(self) -> None:
        """Stops the lines; may be called again."""
        self._ended.set()
        self._thread.join()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    def _repeat(self) -> None:
        for pause in self._pauses_seconds:
            if self._ended.wait(pause):
                return
            logger.info("%s ... %s", self._doing, self.how_far(time.monotonic() - self._began))

    def how_far(self, seconds: float) -> str:
        """Returns the progress part of the line after this many seconds."""
        counted = f"{self._done} of {self._total}{self._unit}, " if self._total else ""
        rest = self._total - self._done
        left = f", about {duration_text(seconds / self._done * rest)} left" if self._done and rest else ""
        return f"{counted}{seconds:.0f} s{left}"


def pauses_of(stream: TextIO | None) -> Iterable[float]:
    """Seconds between two lines on this stream, without an end."""
    is_watched = stream is not None and stream.isatty()
    return repeat(WATCHED_SECONDS) if is_watched else chain(UNWATCHED_SECONDS, repeat(UNWATCHED_SECONDS[-1]))
