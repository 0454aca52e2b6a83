"""One process at a time writes into a results folder; reading needs no lock.

The lock is the kernel's on an open file: it ends with its owner however that ends, and on a network file system it
holds for other machines too. What the file says is for people.
"""

import errno
import fcntl
import json
import logging
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TextIO

logger = logging.getLogger(__name__)

LOCK = ".lock"
_WITHOUT_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the folder, which must exist, inside this context.

    Raises:
        ValueError: another process holds it, which the message names with its host and its command; or something in it
            is a link to elsewhere, through which a search would write there.
    """
    _check_links(folder)
    with (folder / LOCK).open("a+", encoding="utf-8") as file:
        _take(file, folder)
        _write_owner(file)
        try:
            yield
        finally:
            file.truncate(0)


def _check_links(folder: Path) -> None:
    whole = folder.resolve()
    for place, folders, files in os.walk(folder):
        for path in (Path(place, name) for name in (*folders, *files)):
            if path.is_symlink() and not path.resolve().is_relative_to(whole):
                raise ValueError(f"{path} is a link to elsewhere; a search writes only into its own folder: remove it.")


def _take(file: TextIO, folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ValueError(
            f"{folder} is in use by {_owner(file)}; wait until it ends, or stop it. Reading needs no lock."
        ) from error
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise
        _check_unlockable(file, folder)


def _check_unlockable(file: TextIO, folder: Path) -> None:
    """A file system without locks: the owner's word must do, which a killed owner leaves behind."""
    owner = _owner(file)
    if owner != _NOBODY:
        raise ValueError(
            f"{folder} says that it is in use by {owner}, and its file system has no locks to tell whether that is "
            f"so; if it has ended, delete {folder / LOCK}."
        )
    logger.warning("The file system of %s has no locks: do not run a second process on it.", folder)


_NOBODY = "another process"


def _owner(file: TextIO) -> str:
    file.seek(0)
    try:
        owner = json.loads(file.read())
        return f"process {owner['process']} on {owner['host']} since {owner['since']} ({owner['command']})"
    except (ValueError, KeyError, TypeError):
        return _NOBODY


def _write_owner(file: TextIO) -> None:
    owner = {
        "process": os.getpid(),
        "host": platform.node(),
        "since": datetime.now().isoformat(sep=" ", timespec="seconds"),
        "command": " ".join([_command(sys.argv[0]), *sys.argv[1:]]),
    }
    file.truncate(0)
    file.write(json.dumps(owner))
    file.flush()


def _command(first: str) -> str:
    """Python's own word for code that was typed in, or given with -c, says nothing."""
    return Path(first).name if first not in ("", "-c") else "python"
