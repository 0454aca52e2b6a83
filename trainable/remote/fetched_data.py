"""Data at a URI: a folder or an archive that each machine fetches once, into its own cache.

The copy is found by the names and sizes of what lies there; after a change that keeps both, delete it.
"""

import hashlib
import json
import shutil
import tarfile
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from filelock import FileLock

from trainable.data.io.image_cache import default_cache_dir, disk_errors_as_sentences, require_space
from trainable.remote.remote_folder import RemoteFolder
from trainable.remote.uri import check_uri, parent_uri
from trainable.reporting.waiting import Waiting

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_AT_ONCE = 16
"""Files that are fetched at a time."""


def fetch(source: str, cache_dir: Path | None = None) -> Path:
    """Fetches the data of a URI unless it is here already, and returns its folder; see `local_source`."""
    check_uri(source, "--data")
    parent, name = parent_uri(source)
    archive = name if name.endswith(ARCHIVES) else None
    try:
        remote = RemoteFolder(parent if archive else source)
        # The folder of an archive may hold a million other files.
        files = remote.names() if archive is None else {archive: remote.size(archive)}
    except OSError as error:
        raise ValueError(_unreachable(source, error)) from error
    files = {name: size for name, size in files.items() if size is not None}
    if not files:
        raise ValueError(f"--data is {source}, where there is no file; give a folder of data, or an archive.")
    listing = json.dumps([source, sorted(files.items())])
    folder = (cache_dir or default_cache_dir()) / "fetched" / hashlib.sha256(listing.encode()).hexdigest()[:20]
    _fetch_once(remote, files, folder, source, archive)
    # Many archives hold one folder with everything in it.
    inside = list(folder.iterdir()) if archive else []
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _fetch_once(remote: RemoteFolder, files: Mapping[str, int], folder: Path, source: str, archive: str | None) -> None:
    """Fetches the data in one process while others wait; a failed fetch leaves nothing behind."""
    with disk_errors_as_sentences(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if folder.is_dir():
            return
        require_space(folder.parent, sum(files.values()) * (2 if archive else 1))
        partial = folder.with_name(f"{folder.name}.fetching")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            with Waiting(f"Fetching {source} to {folder}", unit=" MB") as waiting:
                _fetch_files(remote, files, partial, waiting)
            if archive:
                _unpack(partial / archive, source)
            partial.rename(folder)
        except OSError as error:
            raise ValueError(_unreachable(source, error)) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _fetch_files(remote: RemoteFolder, files: Mapping[str, int], folder: Path, waiting: Waiting) -> None:
    num_bytes, total, lock = 0, sum(files.values()), Lock()

    def count(more: int) -> None:
        nonlocal num_bytes
        with lock:
            num_bytes += more
            waiting.count(num_bytes // 10**6, total // 10**6)

    def fetch_file(name: str) -> None:
        if not remote.get(name, folder / name, count):
            raise FileNotFoundError(f"{name} was removed while it was fetched")

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for _ in threads.map(fetch_file, files):
            pass


def _unpack(file: Path, source: str) -> None:
    """Replaces an archive by what is in it."""
    try:
        if file.name.endswith(".zip"):
            with zipfile.ZipFile(file) as opened:
                opened.extractall(file.parent)
        else:
            with tarfile.open(file) as opened:
                opened.extractall(file.parent, filter="data")
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise ValueError(f"--data {source} can't be unpacked: {error}. Make the archive again.") from error
    file.unlink()


def _unreachable(source: str, error: OSError) -> str:
    reason = " ".join(str(error).split()).removesuffix(".")
    return (
        f"--data {source} can't be fetched: {reason}. Check the address, the credentials in the environment and the "
        "disk."
    )
