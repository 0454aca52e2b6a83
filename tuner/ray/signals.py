"""Ctrl-C, SIGTERM and SIGHUP all interrupt a search; the former handlers are restored afterwards."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

FROM_WITHIN = signal.SIGUSR2
"""A thread interrupts the command by this signal: SIGINT is ignored in a background job of a script, and Ray takes
SIGUSR1."""
TAKEN = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, FROM_WITHIN)
"""Signals whose handlers Ray or a search replaces."""


@contextmanager
def restored_signal_handlers() -> Iterator[None]:
    """Restores the signal handlers on exit; enter it before Ray starts. Outside the main thread it does nothing."""
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
    """Ignores signals during the second or two of clean-up, which a second Ctrl-C would interrupt."""
    with restored_signal_handlers():
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, FROM_WITHIN):
                signal.signal(number, signal.SIG_IGN)
        yield


@contextmanager
def signals_as_ctrl_c() -> Iterator[None]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt like Ctrl-C, unless they are ignored, as under nohup. Enter it after
    Ray has started and installed its own handlers."""
    _RECEIVED.clear()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, interrupt)
    try:
        yield
    finally:
        _RECEIVED.clear()


def interrupt(number: int, _: object) -> None:
    _RECEIVED.append(number)
    raise KeyboardInterrupt


def interrupt_again() -> None:
    """Raises KeyboardInterrupt where a signal came since `signals_as_ctrl_c` and its own was lost: a library may catch
    everything while it is imported, and Python drops what is raised while an object is deleted."""
    if _RECEIVED:
        raise KeyboardInterrupt


_RECEIVED: list[int] = []
"""Numbers of the signals. Of the process, as its handlers are."""
