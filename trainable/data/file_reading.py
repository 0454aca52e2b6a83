"""Many files read at once, in order, with a count of those done."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
_WINDOW = 256


class Ticker:
    """Calls `on_progress(done, total)` once for every call of its own."""

    def __init__(self, total: int, on_progress: Callable[[int, int], None] | None) -> None:
        self._done, self._total, self._on_progress = 0, total, on_progress

    def __call__(self) -> None:
        self._done += 1
        if self._on_progress is not None:
            self._on_progress(self._done, self._total)


def in_parallel(
    function: Callable[[Item], Result], items: Sequence[Item], tick: Callable[[], None]
) -> Iterator[Result]:
    """In order, at most `_WINDOW` results waiting in memory. Threads, since decoders let go of the interpreter."""
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(items), _WINDOW):
            for result in pool.map(function, items[start : start + _WINDOW]):
                tick()
                yield result
