"""Progress messages of the benchmarks: which one, which round, and the time left."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import TextIO

SECONDS_BETWEEN_LINES = 10.0


class Progress(logging.Handler):
    """Prefixes each message with the time; messages within a benchmark are rate-limited.

    Args:
        expected: seconds that each benchmark takes, in order; what ended ones took tells how fast this machine is.
    """

    def __init__(
        self, expected: Mapping[str, float], stream: TextIO, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        super().__init__()
        self._left = dict(expected)
        self._ended_seconds = self._ended_expected = 0.0
        self._stream, self._clock = stream, clock
        self._began = self._row_began = self._spoke = clock()
        self._name, self._total = "", len(expected)

    def begin(self, name: str) -> None:
        """Starts a benchmark and ends the one before it."""
        if self._name:
            self._ended_seconds += self._clock() - self._row_began
            self._ended_expected += self._left.pop(self._name)
        self._name, self._row_began = name, self._clock()
        self._say(f"{name}, {self._total - len(self._left) + 1} of {self._total}")

    def seconds_left(self) -> float:
        slowness = self._ended_seconds / self._ended_expected if self._ended_expected else 1.0
        spent = self._clock() - self._row_began
        return slowness * sum(self._left.values()) - min(spent, slowness * self._left.get(self._name, 0.0))

    def emit(self, record: logging.LogRecord) -> None:
        if self._clock() - self._spoke >= SECONDS_BETWEEN_LINES:
            self._say(f"  {self._name}: {record.getMessage()}")

    def _say(self, text: str) -> None:
        self._spoke = self._clock()
        left = f"about {self.seconds_left() / 60:.1f} min left"
        self._stream.write(f"[{self._spoke - self._began:4.0f} s, {left}] {text}\n")
        self._stream.flush()
