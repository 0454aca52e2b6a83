"""Ctrl-C and SIGTERM while a search runs: one way out, and the handlers as they were afterwards."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGUSR1] if hasattr(signal, "SIGUSR1") else [])]
"""Those that Ray replaces the handlers of."""


@contextmanager
def handlers_given_back() -> Iterator[None]:
    """Signal handlers are afterwards what they were; enter this before Ray starts. In a thread it does nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """A cluster's SIGTERM raises KeyboardInterrupt, as Ctrl-C does; enter this after Ray's start, which has a handler
    of its own. A shell's background job ignores Ctrl-C, not this."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGTERM, _interrupt)
    yield


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
