"""A search that is ended from outside: it stops in good order."""

import errno
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from ray.tune import TuneError

from tuner.disk import is_full


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """A cluster's SIGTERM saves and returns, as Ctrl-C does. Ray's own start replaces handlers: enter this after it."""
    former = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _interrupt(*_: object) -> None:
    """A shell's background job ignores Ctrl-C, and so would this."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)


@contextmanager
def ctrl_c_given_back() -> Iterator[None]:
    """Ray Tune keeps its handler of Ctrl-C after a search, which would swallow the first one that follows."""
    former = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


@contextmanager
def full_disk_as_such() -> Iterator[None]:
    """Ray wraps what a listener raises into an error of its own, from which nobody learns that the disk is full."""
    try:
        yield
    except TuneError as error:
        if not is_full(str(error)):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
