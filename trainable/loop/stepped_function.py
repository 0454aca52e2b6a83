"""Runs a function in a thread, from one pause to the next: whoever advances it and the function never run at once.

A generator would do it in one thread, but a pause may lie deep in the calls of a library, such as a callback's.
"""

import ctypes
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

CLOSE_SECONDS = 10.0
"""Time for a function that is not at a pause to unwind."""


class Unwound(BaseException):
    """Ends the function at a pause; no `Exception`, so that the function's own handlers let it through."""


@dataclass(frozen=True, slots=True)
class Returned:
    """The function returned."""

    value: Any


@dataclass(frozen=True, slots=True)
class Raised:
    """The function raised an error."""

    error: BaseException


class SteppedFunction:
    """A function that waits at a pause; it starts at the first `advance`.

    Args:
        function: is given `pause`, to be called inside it.
    """

    def __init__(self, function: Callable[[Callable[[Any], None]], Any]) -> None:
        self._function = function
        self._news: SimpleQueue[Any] = SimpleQueue()
        self._goes_on: SimpleQueue[bool] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="training loop", daemon=True)
        self._is_closed = False
        self._is_at_pause = False
        self._is_over = False
        self._unwinding = threading.Lock()

    def advance(self) -> Any:
        """Runs the function to its next pause; returns the value given there, or `Returned`, or `Raised`."""
        if not self._thread.ident:
            self._thread.start()
        else:
            self._goes_on.put(True)
        return self._news.get()

    def pause(self, news: Any) -> None:
        """Called inside the function: hands the value to the caller of `advance`, and waits for the next call.

        Raises:
            Unwound: nobody will.
        """
        if self._is_closed:
            raise Unwound
        self._is_at_pause = True
        self._news.put(news)
        goes_on = self._goes_on.get()
        self._is_at_pause = False
        if not goes_on:
            raise Unwound

    def close(self) -> None:
        """Unwinds the function at its pause, or wherever it is after an interruption."""
        if self._is_closed:
            return
        self._is_closed = True
        if not self._thread.is_alive() or self._thread is threading.current_thread():
            return
        if self._is_at_pause:
            self._goes_on.put(False)
        else:
            with self._unwinding:
                if not self._is_over:
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(
                        ctypes.c_ulong(self._thread.ident or 0), ctypes.py_object(Unwound)
                    )
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        try:
            self._news.put(self._outcome())
            # Unwinding may come as late as here: once the lock was held, it has arrived or never will.
            with self._unwinding:
                self._is_over = True
        except Unwound:
            self._news.put(None)

    def _outcome(self) -> Returned | Raised:
        """Runs the function to its end and returns how it ended."""
        try:
            return Returned(self._function(self.pause))
        except Unwound:
            raise
        except BaseException as error:  # noqa: BLE001 - raised again by the caller of `advance`
            return Raised(error)
