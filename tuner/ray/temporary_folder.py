"""The temporary folder of a local Ray, and the removal of folders that killed searches left behind."""

import contextlib
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from tuner.records.lock import process_birth, process_space

MAX_PARENT_CHARACTERS = 22
"""Ray's socket paths add up to 79 characters, and may have at most 107."""
START_MB, FULL_MB = 50, 5
"""Free space that Ray gets at the start, mostly for its logs: a short search takes 2 MB; and below which it is full."""
OWNER = "search-process"
"""File in such a folder: namespace, id and birth of the process of the search that created it, one to a line."""


def temporary_ray_folder() -> Path:
    """Creates a folder marked with this process, closed to other users; removes folders of killed searches first.

    Ray opens its own folder to every user of the machine: give it one inside this.

    Raises:
        ValueError: it can't be written to, or is full. Ray would try to start for minutes, and not say why it can't.
    """
    is_long = len(tempfile.gettempdir()) > MAX_PARENT_CHARACTERS and Path("/tmp").is_dir()
    parent = Path("/tmp" if is_long else tempfile.gettempdir())
    remove_abandoned(parent)
    try:
        free_mb = shutil.disk_usage(parent).free / 1e6
        if free_mb < START_MB:
            raise ValueError(
                f"{parent} has {free_mb:.0f} MB left, and Ray needs {START_MB} MB there. Make room, or {_ANOTHER}."
            )
        folder = Path(tempfile.mkdtemp(prefix="ray-", dir=parent))
        process = os.getpid()
        (folder / OWNER).write_text(f"{_process_space()}\n{process}\n{process_birth(process)}", encoding="utf-8")
    except OSError as error:
        raise ValueError(f"Ray can't write to {parent}: {error.strerror}. Make it writable, or {_ANOTHER}.") from error
    return folder


_ANOTHER = f"set TMPDIR to another folder, with a path of at most {MAX_PARENT_CHARACTERS} characters"


@contextlib.contextmanager
def full_disk_named(folder: Path) -> Iterator[None]:
    """Names Ray's folder in an error of Ray's that names no file, where the disk of that folder is full."""
    try:
        yield
    except OSError as error:
        if error.filename is None and (sentence := full_disk(folder)):
            raise OSError(error.errno, sentence) from error
        raise


def full_disk(folder: Path) -> str | None:
    """A sentence where the disk of Ray's folder is full, which ends Ray's processes sooner or later; else None."""
    if shutil.disk_usage(folder).free / 1e6 >= FULL_MB:
        return None
    return f"The disk of {folder}, where Ray keeps its files, is full: make room, or {_ANOTHER}"


def remove_ray_folder(folder: Path) -> None:
    """Removes it whole, though Ray's dashboard may outlive Ray for a moment and write into it every few seconds: under
    another name it is not found."""
    with contextlib.suppress(OSError):
        folder = folder.rename(folder.with_name(f"{folder.name}-ended"))
    shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(parent: Path) -> None:
    """Removes only folders that a search of this user on this machine created, whose process and Ray are gone."""
    for mark in parent.glob(f"ray-*/{OWNER}"):
        # Another search may be removing it just now, and folders of other users can't be read.
        with contextlib.suppress(FileNotFoundError, PermissionError):
            where, process, birth = (mark.read_text(encoding="utf-8").splitlines() + 3 * [""])[:3]
            is_ours = where == _process_space() and mark.stat().st_uid == os.getuid()
            # Another process may have its number by now.
            is_gone = is_ours and birth and process_birth(process) != birth
            if is_gone and not _is_in_use(mark.parent):
                remove_ray_folder(mark.parent)


def _is_in_use(folder: Path) -> bool:
    """Whether a process was started for this folder: the Ray of a killed search outlives it for a while, and would make
    the folder again, open to every user."""
    return any(str(folder) in " ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"]))


def _process_space() -> str:
    """Containers may share a temporary folder but not process ids; without /proc nothing is removed."""
    space = process_space()
    return f"process {os.getpid()} alone" if space is None else f"{platform.node()} {space}"
