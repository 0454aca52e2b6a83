"""The temporary folder of a local Ray, and the removal of folders that killed searches left behind."""

import contextlib
import os
import platform
import shutil
import tempfile
from pathlib import Path

MAX_PARENT_CHARACTERS = 22
"""Ray's socket paths add up to 79 characters, and may have at most 107."""
OWNER = "search-process"
"""File in such a folder: the process namespace and the process id of the search that created it."""


def temporary_ray_folder() -> Path:
    """Creates a folder marked with this process, closed to other users; removes folders of killed searches first.

    Ray opens its own folder to every user of the machine: give it one inside this.
    """
    is_long = len(tempfile.gettempdir()) > MAX_PARENT_CHARACTERS and Path("/tmp").is_dir()
    parent = Path("/tmp" if is_long else tempfile.gettempdir())
    remove_abandoned(parent)
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir=parent))
    (folder / OWNER).write_text(f"{_process_space()} {os.getpid()}", encoding="utf-8")
    return folder


def remove_abandoned(parent: Path) -> None:
    """Removes only folders that a search of this user on this machine created and whose process is gone."""
    for mark in parent.glob(f"ray-*/{OWNER}"):
        # Another search may be removing it just now, and folders of other users can't be read.
        with contextlib.suppress(FileNotFoundError, PermissionError):
            where, _, process = mark.read_text(encoding="utf-8").rpartition(" ")
            is_ours = where == _process_space() and mark.stat().st_uid == os.getuid()
            if is_ours and process.isdecimal() and not Path(f"/proc/{process}").exists():
                shutil.rmtree(mark.parent, ignore_errors=True)


def _process_space() -> str:
    """Containers may share a temporary folder but not process ids; without /proc nothing is removed."""
    namespace = Path("/proc/self/ns/pid")
    return f"{platform.node()} {namespace.readlink()}" if namespace.exists() else f"process {os.getpid()} alone"
