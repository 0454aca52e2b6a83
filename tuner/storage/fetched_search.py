"""Continues a search on another machine than the one that started it: from the copy of its results folder at a URI."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from trainable.remote.remote_folder import RemoteFolder
from trainable.remote.uri import check_uri
from trainable.reporting.waiting import Waiting
from tuner import formatting
from tuner.records import CONFIRM, SETTINGS
from tuner.records.events import TRIALS
from tuner.records.search_record import CHECKPOINTS
from tuner.storage.lease import Lease

logger = logging.getLogger(__name__)

_APPENDED = (TRIALS, CONFIRM)
"""The search and its confirmation only add lines to these: of two folders, the one with more has gone on."""
_PROBE = ".probe"


def check_store(store: str) -> None:
    """Raises ValueError when a new search can't be copied there: no right to write, or another search is there."""
    with _reached(store, "--storage"), Waiting(f"Checking whether {store} can be written to"):
        remote = RemoteFolder(store)
        has_search = remote.size(SETTINGS) is not None
        with TemporaryDirectory() as scratch:
            probe = Path(scratch) / "probe"
            probe.write_text("written by a search that checks whether it may write here\n", encoding="utf-8")
            remote.put(probe, _PROBE)
        remote.remove(_PROBE)
    if has_search:
        raise ValueError(
            f"{store} already holds a search; continue with --resume {formatting.argument(store)}, or give another "
            "--name."
        )


def fetch_search(store: str, results: Path = Path("results"), *, lease: Lease | None = None) -> Path:
    """Copies a search from its URI to results/<space>/<run>, without its checkpoints, which trials fetch themselves.

    A folder that is there and has gone on stays as it is.

    Args:
        lease: the right to continue it, which is taken before anything is fetched; None only reads.

    Raises:
        ValueError: there is no search, it can't be reached, another machine continues it, or both have gone on since
            they were the same.
    """
    check_uri(store, "--resume")
    with _reached(store, "--resume"):
        with Waiting(f"Looking for the search in {store}"):
            remote = RemoteFolder(store)
            has_search = remote.size(SETTINGS) is not None
        if not has_search:
            raise ValueError(f"{store} holds no search: there is no {SETTINGS}; give <storage>/<space>/<run>.")
        if lease is not None and (taken_over := lease.take()):
            logger.warning("%s", taken_over)
        # What is hidden are the lease, and parts of files that a killed upload has left.
        names = [name for name in remote.names() if not name.startswith((f"{CHECKPOINTS}/", ".")) and "/." not in name]
        space, run = store.partition("?")[0].rstrip("/").split("/")[-2:]
        folder = results / space / run
        if _is_newer(folder, remote):
            return folder
        logger.info("fetching %s to %s", store, folder)
        # The settings last: without them a folder holds no search.
        for name in sorted(names, key=lambda name: name == SETTINGS):
            if not remote.get(name, folder / name):
                raise FileNotFoundError(f"{name} was removed while it was fetched")
    return folder


def check_up_to_date(folder: Path, store: str) -> None:
    """Raises ValueError where the copy has gone on, on another machine, and would be overwritten by the folder.

    Raises:
        OSError: the store can't be reached.
    """
    if not _is_newer(folder, RemoteFolder(store)):
        raise ValueError(
            f"{store} has changed since {folder} was copied from it; continue there with --resume "
            f"{formatting.argument(store)}."
        )


def _is_newer(folder: Path, remote: RemoteFolder) -> bool:
    """Whether the folder on this machine holds all that the store has, and perhaps more."""
    if not (folder / SETTINGS).is_file():
        return False
    both = []
    with TemporaryDirectory() as scratch:
        for name in _APPENDED:
            remote.get(name, theirs := Path(scratch) / name)
            both.append((_whole_lines(folder / name), _whole_lines(theirs)))
    if all(own.startswith(stored) for own, stored in both):
        return True
    if all(stored.startswith(own) for own, stored in both):
        return False
    raise ValueError(
        f"{folder} and {remote.uri} have both changed since they were equal; move one of them away, and continue the "
        "other with --resume."
    )


def _whole_lines(path: Path) -> bytes:
    content = path.read_bytes() if path.is_file() else b""
    return content[: content.rfind(b"\n") + 1]


@contextmanager
def _reached(store: str, option: str) -> Iterator[None]:
    """Raises ValueError, which names the option, where the store can't be reached inside this context."""
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"{option} {store} can't be used: {formatting.reason(error)}. Check the address, and the credentials and "
            "the endpoint in the environment."
        ) from error
