"""Runs a command on standard streams that may be closed, lose their reader, or lie on a full disk."""

import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from trainable.console.visible_text import visible

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

USER_ERROR = 2
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Errors of a disk or a quota without room."""


def run_main(main: Callable[[], int]) -> int:
    """Runs `main` and returns its exit status; lost output never ends it.

    A stream that is closed, as after `>&-`, is the null device. What can't be written is dropped: in silence when the
    reader has gone, as after `| head` or with a closed terminal, otherwise with an error at the end and status 2.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # Otherwise the next file that is opened gets this number, and what others print ends up in it.
            _open_null(descriptor)
    raw_output, raw_errors = _LossyFile(1), _LossyFile(2)
    sys.stdout, sys.stderr = _text_on(raw_output, like=sys.stdout), _text_on(raw_errors, like=sys.stderr)
    status = main()
    sys.stdout.flush()
    if raw_output.error is not None and raw_output.error.errno not in _READER_GONE:
        sys.stderr.write(f"error: standard output could not be written: {raw_output.error.strerror}\n")
        return status or USER_ERROR
    return status


def error_line(error: Exception, *, remedy: str = "make room there, and run the command again.") -> str:
    """The line that a command ends with; an error of the system has its file first and no number.

    Args:
        remedy: what to do about a full disk.
    """
    if not (isinstance(error, OSError) and error.strerror):
        return visible(f"error: {error}\n")
    place = f"{error.filename}: " if error.filename else ""
    return visible(f"error: {place}{error.strerror}{f'; {remedy}' if error.errno in DISK_FULL and remedy else ''}\n")


def error_with_next_step(error: Exception, next_step: str) -> str:
    """The line of `error_line` with this next step instead of its own about disk space."""
    return f"{error_line(error, remedy='').rstrip().removesuffix('.')}. {next_step}\n"


@contextmanager
def unnamed_errors_name(place: Path) -> Iterator[None]:
    """Adds this place to OSErrors that name no file, such as of a write to a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(place)
        raise


_READER_GONE = frozenset({errno.EPIPE, errno.EIO})
"""A closed pipe, and a terminal that has hung up."""


class _LossyFile(io.FileIO):
    """A descriptor that becomes the null device at its first error, also for processes that inherit it later."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.error: OSError | None = None

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.error = error
            _open_null(self.fileno())
            return super().write(data)


def _text_on(raw: _LossyFile, *, like: TextIO | None) -> TextIO:
    """Opens a text stream on a descriptor with the encoding and buffering of the former one."""
    encoding, errors = ("utf-8", "replace") if like is None else (like.encoding, like.errors)
    by_line = raw.fileno() == 2 or raw.isatty()
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding=encoding, errors=errors, line_buffering=by_line)


def _open_null(descriptor: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    os.set_inheritable(null, True)
    if null != descriptor:
        os.dup2(null, descriptor)
        os.close(null)
