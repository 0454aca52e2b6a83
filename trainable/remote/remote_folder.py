"""One folder of an object store or of another filesystem that pyarrow or fsspec knows.

Credentials come from the environment, as the library of the store reads them. Every file appears whole or not at all.
"""

import posixpath
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import pyarrow
from pyarrow import fs

_ALL_OR_NOTHING = ("s3", "gcs", "abfs")
"""Stores that show a file when all of it has arrived; in others it is written beside its place, and moved."""
_PART = ".part"
"""Suffix of the hidden name of a file that has not arrived yet."""
_NO_FILE = {"", ".", ".."}
"""Parts of a path that an object's name may have, and a file's may not."""
_CHUNK_BYTES = 8 * 2**20
_RETRY_LIMIT, _RETRIED_SECONDS = "retry_limit_seconds", 30
"""Retry limit of Google's store, which otherwise retries silently for 15 minutes."""


@contextmanager
def _as_os_errors(*others: type[Exception]) -> Iterator[None]:
    """Turns the errors of a store's library into OSErrors, except `others`."""
    try:
        yield
    except Exception as error:
        if isinstance(error, (OSError, *others)):
            raise
        raise OSError(f"{type(error).__name__}: {error}".removesuffix(": ")) from error


class RemoteFolder:
    """Reads and writes files below one URI.

    Raises:
        ValueError: no installed library knows this kind of address.
        OSError: the store can't be reached, here and in every method.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        with _as_os_errors(ValueError):
            self._files, self._root = _filesystem(uri)

    @_as_os_errors()
    def names(self, below: str = "") -> dict[str, int]:
        """Size in bytes of each file below a folder of it, by name relative to this folder; none where it is absent.

        Raises:
            OSError: a name there, as stores allow it, is that of no file in a folder; it could lead out of one.
        """
        selector = fs.FileSelector(self._path(below), allow_not_found=True, recursive=True)
        root = self._root.rstrip("/") + "/"
        found = {
            info.path.removeprefix(root): info.size for info in self._files.get_file_info(selector) if info.is_file
        }
        if not_files := [name for name in found if not _NO_FILE.isdisjoint(name.split("/"))]:
            raise OSError(f"{not_files[0]!r} in {self.uri} is no name of a file; rename or remove it there")
        return found

    @_as_os_errors()
    def size(self, name: str) -> int | None:
        """Size of a file in bytes; None if there is no file of that name."""
        info = self._files.get_file_info(self._path(name))
        return info.size if info.is_file else None

    @_as_os_errors()
    def put(self, file: Path, name: str) -> None:
        """Copies a file here, in place of one of that name."""
        path = self._path(name)
        is_whole = self._files.type_name in _ALL_OR_NOTHING
        if not is_whole:
            self._files.create_dir(posixpath.dirname(path), recursive=True)
        # Two may write one file at once: a trial its checkpoint, and the copy of the folder.
        hidden = f".{posixpath.basename(path)}.{uuid4().hex}{_PART}"
        partial = path if is_whole else posixpath.join(posixpath.dirname(path), hidden)
        try:
            # In a thread of its own, where no Ctrl-C breaks it off: the stream would be closed, and a store show as the
            # whole what has arrived.
            with ThreadPoolExecutor(1) as thread:
                thread.submit(self._upload, file, partial).result()
            if not is_whole:
                self._files.move(partial, path)
        except BaseException:
            if not is_whole:
                # The parts of one that is tried again and again would fill the disk of the store.
                with suppress(Exception):
                    self._files.delete_file(partial)
            raise

    def _upload(self, file: Path, path: str) -> None:
        with file.open("rb") as source, self._files.open_output_stream(path) as target:
            while chunk := source.read(_CHUNK_BYTES):
                target.write(chunk)

    @_as_os_errors()
    def get(self, name: str, file: Path, on_bytes: Callable[[int], None] = lambda num_bytes: None) -> bool:
        """Copies a file from here; returns False, and writes nothing, where there is none of that name.

        Args:
            on_bytes: called with the number of each further bytes that have arrived.
        """
        try:
            source = self._files.open_input_stream(self._path(name))
        except FileNotFoundError:
            return False
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f".{file.name}.part")
        try:
            with source, partial.open("wb") as target:
                while chunk := source.read(_CHUNK_BYTES):
                    target.write(chunk)
                    on_bytes(len(chunk))
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)
        return True

    @_as_os_errors()
    def remove(self, name: str) -> None:
        """Removes a file; one that is gone is fine."""
        path = self._path(name)
        if self._files.get_file_info(path).is_file:
            self._files.delete_file(path)

    def _path(self, name: str) -> str:
        return posixpath.join(self._root, name) if name else self._root


def arriving_file(name: str) -> str:
    """The name, without its folder, that a file here has when it has arrived; a killed upload leaves a part of it.

    >>> arriving_file("checkpoints/000-0123abcd/.epoch_0003.pt.5f1d.part")
    'epoch_0003.pt'
    >>> arriving_file("checkpoints/000-0123abcd/epoch_0003.pt")
    'epoch_0003.pt'
    """
    file = posixpath.basename(name)
    return file.removesuffix(_PART).rpartition(".")[0].removeprefix(".") if file.endswith(_PART) else file


def _with_retry_limit(uri: str) -> str:
    """The address of Google's store with a limit, unless it has one."""
    parts = urlsplit(uri)
    if parts.scheme not in ("gs", "gcs") or _RETRY_LIMIT in parts.query:
        return uri
    return urlunsplit(parts._replace(query=f"{parts.query}&{_RETRY_LIMIT}={_RETRIED_SECONDS}".lstrip("&")))


def _filesystem(uri: str) -> tuple[fs.FileSystem, str]:
    """Opens a filesystem of pyarrow, or else of fsspec."""
    try:
        return fs.FileSystem.from_uri(_with_retry_limit(uri))
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError) as error:
        reason = str(error)
    try:
        from fsspec.core import url_to_fs

        files, path = url_to_fs(uri)
    except (ImportError, ValueError) as error:
        raise ValueError(
            f"No library here opens {urlsplit(uri).scheme}:// addresses ({reason}; {error}); install one for fsspec, "
            "or give s3://, gs://, abfs:// or a folder."
        ) from error
    return fs.PyFileSystem(fs.FSSpecHandler(files)), path
