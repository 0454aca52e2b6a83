"""Atomic file replacement, and files that a power cut does not take back."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a hidden file beside `path` to write; it replaces `path` when the context ends without an error."""
    partial = path.with_name(f".{path.name}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def replacing_for_good(path: Path) -> Iterator[Path]:
    """As `replacing`, for a file that nothing else could restore after a power cut; takes 7 ms on a disk."""
    with replacing(path) as partial:
        yield partial
        sync(partial)
    # Not every network file system can sync a folder; there, closing the file has sent it.
    with suppress(OSError):
        sync(path.parent)


def sync(path: Path) -> None:
    """Waits until the disk holds what was written to a file, or renamed in a folder. The operating system would write
    it within half a minute, and a power cut costs what it has not written yet.

    Raises:
        OSError: the disk has lost it.
    """
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        # That of an open file names none.
        error.filename = str(path)
        raise
    finally:
        os.close(opened)
