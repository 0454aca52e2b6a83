"""Lets one process at a time write to a results folder; reading needs no lock.

The kernel locks an open file: the lock ends with its owner, also when that is killed, and on a network file system it
holds across machines. The content of the file is only for people.
"""

import errno
import fcntl
import json
import logging
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

logger = logging.getLogger(__name__)

LOCK = ".lock"
TAKEN_OVER = ".taken_over"
"""Holds the sentence about who continues the search elsewhere; hidden, so that no copy has it."""
_WITHOUT_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})
_NOT_WRITABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Locks the folder, which must exist, inside this context.

    Raises:
        ValueError: another process holds the lock (the message names it, its host and its command), or the folder
            holds a link that leads out of it or can't be written to.
    """
    _check_links(folder)
    with _open(folder) as file:
        _take(file, folder)
        file.truncate(0)
        file.write(json.dumps(owner_facts()))
        file.flush()
        try:
            yield
        finally:
            # A disk that has become read-only; its lock ends all the same, and the error that came before is reported.
            with suppress(OSError):
                file.truncate(0)


def is_in_use(folder: Path) -> bool:
    """Whether a process holds the lock, this one included."""
    if not (folder / LOCK).is_file():
        return False
    with (folder / LOCK).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError as error:
            if error.errno not in _WITHOUT_LOCKS:
                raise
    return False


def taken_over(folder: Path) -> str | None:
    """Sentence on who continues the search elsewhere, as its last owner here noted; None if nobody does."""
    note = folder / TAKEN_OVER
    return note.read_text(encoding="utf-8", errors="replace").strip() or None if note.is_file() else None


def note_taken_over(folder: Path, sentence: str | None) -> None:
    """Stores the sentence for later commands; None removes it when the search continues here."""
    if sentence is None:
        (folder / TAKEN_OVER).unlink(missing_ok=True)
    else:
        (folder / TAKEN_OVER).write_text(f"{sentence}\n", encoding="utf-8")


def _open(folder: Path) -> TextIO:
    try:
        return (folder / LOCK).open("a+", encoding="utf-8")
    except OSError as error:
        if error.errno not in _NOT_WRITABLE:
            raise
        raise ValueError(f"{folder} can't be written to: {error.strerror}. Make it writable, or copy it.") from error


def _check_links(folder: Path) -> None:
    whole = folder.resolve()
    for place, folders, files in os.walk(folder):
        for path in (Path(place, name) for name in (*folders, *files)):
            if path.is_symlink() and not path.resolve().is_relative_to(whole):
                raise ValueError(
                    f"{path} is a link that leads out of {folder}, where a search must not write; remove it."
                )


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
    """Raises ValueError if the file names an owner, even a killed one: this file system has no locks to tell."""
    owner = _owner(file)
    if owner != _NOBODY:
        raise ValueError(
            f"{folder} is marked as in use by {owner}, and its file system has no locks to check that; if that "
            f"process has ended, delete {folder / LOCK}."
        )
    logger.warning("The file system of %s has no locks: do not run a second process on it.", folder)


_NOBODY = "another process"


def _owner(file: TextIO) -> str:
    file.seek(0)
    try:
        return owner_in_words(json.loads(file.read()))
    except ValueError:
        return _NOBODY


def owner_in_words(owner: Any) -> str:
    """Formats the result of `owner_facts`, which may be from another machine, or damaged."""
    try:
        return f"process {owner['process']} on {owner['host']} since {owner['since']} ({owner['command']})"
    except (KeyError, TypeError):
        return _NOBODY


def owner_facts() -> dict[str, int | str]:
    """Facts about this process for an error message."""
    # Code from standard input or -c has no file name.
    program = Path(sys.argv[0]).name if sys.argv[0] not in ("", "-c") else "python"
    return {
        "process": os.getpid(),
        "host": platform.node(),
        "since": datetime.now().isoformat(sep=" ", timespec="seconds"),
        "command": " ".join([program, *sys.argv[1:]]),
    }


def process_space() -> str | None:
    """Names the space of this process's id: containers of one host name have their own; None without /proc."""
    namespace = Path("/proc/self/ns/pid")
    return str(namespace.readlink()) if namespace.exists() else None


def process_birth(process: object) -> str | None:
    """Identifies a running process by the boot of the machine and its start; None if none has this number."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        # The name before the last bracket may hold blanks; the start, in clock ticks, is the 22nd field of all.
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return f"{boot} {fields[19]}"
