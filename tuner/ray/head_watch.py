"""Watches the head of Ray. When it is gone, Ray ends the process after a minute without a Python error; this says
before what has happened and what to do.
"""

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tuner.ray.signals import FROM_WITHIN, interrupt, restored_signal_handlers

logger = logging.getLogger(__name__)

LOOK_SECONDS, ATTEMPTS = 2.0, 4
GRACE_SECONDS = 30.0
"""For the report, after the search was interrupted; Ray's own end comes 60 s after the loss."""
INTERRUPTED = 130


@contextmanager
def head_watched(
    address: str, *, advice: str = "continue with --resume", end: Callable[[int], object] = os._exit
) -> Iterator[None]:
    """Interrupts the command, as Ctrl-C does but even where that is ignored, when nothing answers at `address`; ends
    the process where it hangs.

    Outside the main thread it does nothing.

    Args:
        address: host:port of the head.
        advice: what to do then.
        end: ends the process with a status.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    over = threading.Event()

    def watch() -> None:
        missed = 0
        while not over.wait(LOOK_SECONDS):
            missed = 0 if _answers(address) else missed + 1
            if missed == ATTEMPTS:
                logger.error("Ray's head at %s is gone. Finished epochs are saved; %s.", address, advice)
                signal.pthread_kill(threading.main_thread().ident or 0, FROM_WITHIN)
                if not over.wait(GRACE_SECONDS):
                    end(INTERRUPTED)
                return

    thread = threading.Thread(target=watch, name="head-watch", daemon=True)
    with restored_signal_handlers():
        signal.signal(FROM_WITHIN, interrupt)
        thread.start()
        try:
            yield
        finally:
            over.set()
            # Its signal, without the handler, would end the process.
            thread.join()


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), LOOK_SECONDS).close()
    except OSError:
        return False
    return True
