"""Says what a command waits for, at once and every five seconds: a silent screen looks like one that hangs."""

import logging
import threading
import time
from types import TracebackType
from typing import Self

REPEAT_SECONDS = 5.0

logger = logging.getLogger(__name__)


class Waiting:
    """A step that may take seconds, such as an import: `Starting Ray ...`, later `Starting Ray ... 5 s`.

    It ends with its context, or with `end`.

    Args:
        repeat_seconds: time between two lines.
    """

    def __init__(self, doing: str, *, repeat_seconds: float = REPEAT_SECONDS) -> None:
        self._doing, self._repeat_seconds, self._count = doing, repeat_seconds, ""
        self._began, self._ended = time.monotonic(), threading.Event()
        logger.info("%s ...", doing)
        self._thread = threading.Thread(target=self._repeat, name=doing, daemon=True)
        self._thread.start()

    def count(self, done: int, total: int) -> None:
        """What the next line says too, such as `200 of 1000`."""
        self._count = f"{done} of {total}, "

    def end(self) -> None:
        """No line follows; may be repeated."""
        self._ended.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    def _repeat(self) -> None:
        while not self._ended.wait(self._repeat_seconds):
            logger.info("%s ... %s%.0f s", self._doing, self._count, time.monotonic() - self._began)
