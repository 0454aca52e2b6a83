"""Ctrl-C, SIGTERM and SIGHUP while a search runs: one way out, and the handlers as they were afterwards."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

TAKEN = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
"""Those whose handlers Ray or a search replaces."""


@contextmanager
def restored_signal_handlers() -> Iterator[None]:
    """Signal handlers are afterwards what they were; enter this before Ray starts. In a thread it does nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {number: signal.getsignal(number) for number in TAKEN}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextmanager
def signals_ignored() -> Iterator[None]:
    """For the second or two of cleaning up, which a second Ctrl-C would leave half done."""
    with restored_signal_handlers():
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
        yield


@contextmanager
def signals_as_ctrl_c() -> Iterator[None]:
    """A cluster's SIGTERM and a closed terminal raise KeyboardInterrupt, as Ctrl-C does, unless they are ignored, as
    under nohup. Enter this after Ray's start, which has handlers of its own."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _interrupt)
    yield


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
