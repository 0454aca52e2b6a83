"""Copies a results folder to a URI while it changes.

The search never waits for the store: its truth is the folder on this machine. A checkpoint is copied before the records
that name it, and a superseded one is removed after them, so what lies in the store can be continued at any moment.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from trainable.leg import checkpoint_name
from trainable.remote.remote_folder import RemoteFolder, arriving_file
from trainable.reporting.waiting import Waiting
from tuner import formatting
from tuner.records import SETTINGS, TrialRecord
from tuner.records.events import TRIALS, EpochDone, read_event
from tuner.records.lock import note_taken_over
from tuner.records.search_record import CHECKPOINTS
from tuner.storage.fetched_checkpoint import fetch_checkpoint
from tuner.storage.fetched_search import check_up_to_date
from tuner.storage.lease import RENEWED_SECONDS, Lease, LeaseLostError

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 5.0
"""Between two passes; a change is copied within 30 s where the store takes it in 25."""
LAST_ATTEMPTS = 6
"""Passes at the end, before the last changes are given up."""

Stamp = tuple[int, int]


class Mirror:
    """One results folder and its copy.

    Args:
        folder: of a search that this process has locked.
        store: the URI of the copy.
        lease: the right to write there.
    """

    def __init__(self, folder: Path, store: str, lease: Lease | None = None) -> None:
        self._folder, self._store, self._lease = folder, store, lease
        self.taken_over: str | None = None
        """Who continues the search elsewhere, so that nothing is copied any more; None while nobody does."""
        self._remote: RemoteFolder | None = None
        self._copied: dict[str, Stamp] = {}
        self._read_bytes, self._epochs = 0, dict[str, int]()
        self._is_behind = False
        self._may_write = lease is None

    def begin(self) -> None:
        """Takes the right to write, which nothing is copied without.

        Raises:
            ValueError: another machine continues the search, or has continued it since the folder was copied.
            OSError: the store can't be reached.
        """
        if self._lease is None or self._may_write:
            return
        with Waiting(f"Checking that no other machine continues {self._store}"):
            if not self._lease.is_held and (taken_over := self._lease.take()):
                logger.warning("%s", taken_over)
            check_up_to_date(self._folder, self._store)
        note_taken_over(self._folder, None)
        self._may_write = True

    def copy(self) -> None:
        """Brings the copy up to date; what has not changed is not copied again.

        Raises:
            LeaseLostError: another machine continues the search, or has continued it.
            Exception: the store can't be reached; each kind of store has errors of its own.
        """
        try:
            self.begin()
        except ValueError as error:
            # Without the advice, which is for a search that has not started.
            self._give_up(str(error).partition(";")[0])
            raise LeaseLostError(str(error)) from error
        self._renew_lease()
        remote = self._remote = self._remote or RemoteFolder(self._store)
        self._read_epochs()
        stored = remote.names(CHECKPOINTS)
        for name, (num_bytes, _) in _files(self._folder, CHECKPOINTS).items():
            if stored.get(name) != num_bytes:
                self._put(remote, name)
        files = _files(self._folder)
        for name in sorted(files, key=lambda name: (name == SETTINGS, name == TRIALS)):
            if self._copied.get(name) != files[name]:
                self._put(remote, name)
                self._copied[name] = files[name]
        for name in self._copied.keys() - files.keys():
            remote.remove(name)
            del self._copied[name]
        for name in stored:
            trial, file = Path(name).parent.name, arriving_file(name)
            recorded = checkpoint_name(self._epochs.get(trial, 0))
            # An epoch before the recorded one; names are padded to four digits.
            if (len(file), file) < (len(recorded), recorded):
                remote.remove(name)

    def try_copy(self) -> bool:
        """Like `copy`, but a store that can't be reached costs a warning; returns whether nothing is left to copy."""
        if self.taken_over is not None:
            return True
        try:
            self.copy()
        except LeaseLostError:
            return True
        except Exception as error:  # noqa: BLE001 - each kind of store has errors of its own
            if not self._is_behind:
                logger.warning(
                    "%s can't be reached: %s. The search continues in %s, and the copy is tried again.",
                    self._store,
                    formatting.reason(error),
                    self._folder,
                )
            self._is_behind = True
            return False
        if self._is_behind:
            logger.info("%s is up to date again.", self._store)
        self._is_behind = False
        return True

    def keep_lease(self) -> None:
        """Beside a pass, which may take longer than a lease lasts."""
        # The store can't be reached, or another machine continues the search: the next pass tells either.
        with suppress(Exception):
            self._renew_lease()

    def _renew_lease(self) -> None:
        """Raises LeaseLostError, and an error of the store."""
        try:
            if self._lease is not None and self._may_write:
                self._lease.renew()
        except LeaseLostError as error:
            self._give_up(str(error))
            raise

    def _give_up(self, reason: str) -> None:
        if self.taken_over is None:
            note_taken_over(self._folder, reason)
        self.taken_over = reason

    @property
    def end_reason(self) -> str | None:
        """Why this search ends, where another machine continues it; else None."""
        if self.taken_over is None:
            return None
        return f"{self.taken_over}, so this search ends; what it has finished is in {self._folder}."

    def check_held(self) -> None:
        """Raises LeaseLostError, with the reason, where this search ends."""
        if (reason := self.end_reason) is not None:
            raise LeaseLostError(reason)

    def fetch_checkpoints(self, trials: Iterable[TrialRecord]) -> None:
        """Fetches the last checkpoints of these trials that another machine wrote; a store that can't be reached costs
        a warning."""
        try:
            remote = self._remote = self._remote or RemoteFolder(self._store)
            for trial in trials:
                fetch_checkpoint(remote, self._folder, trial)
        except Exception as error:  # noqa: BLE001 - as above
            logger.warning("Checkpoints could not be fetched from %s: %s", self._store, formatting.reason(error))

    def _put(self, remote: RemoteFolder, name: str) -> None:
        """A file that the search has removed meanwhile is not an error; nothing is written over another machine's."""
        if self.taken_over is not None:
            raise LeaseLostError(self.taken_over)
        try:
            remote.put(self._folder / name, name)
        except FileNotFoundError:
            if (self._folder / name).is_file():
                raise

    def _read_epochs(self) -> None:
        """The last epoch of each trial, from the lines since the last pass."""
        path = self._folder / TRIALS
        if not path.is_file():
            return
        with path.open("rb") as file:
            file.seek(self._read_bytes)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._read_bytes += len(whole) + len(newline)
        for line in whole.splitlines():
            event = read_event(line, str(path))
            if isinstance(event, EpochDone):
                self._epochs[event.trial] = event.epoch


@contextmanager
def mirror_folder(folder: Path, store: str | None, lease: Lease | None = None) -> Iterator[Mirror | None]:
    """Copies the folder to the store inside this context, and what is left at its end; None copies nothing.

    Args:
        lease: the right to write there; one that is not held yet is taken here.

    Raises:
        ValueError: another machine continues the search, or has continued it since the folder was copied.
    """
    if store is None:
        yield None
        return
    lease = lease or Lease(store)
    mirror = Mirror(folder, store, lease)
    try:
        mirror.begin()
    except OSError as error:
        # A store that is away keeps no search on this machine from going on; it begins with the first copy.
        logger.warning("%s can't be reached: %s. The search goes on in %s.", store, formatting.reason(error), folder)
    except ValueError:
        lease.release()
        raise
    logger.info("copying %s to %s", folder, store)
    with ExitStack() as at_end:
        at_end.callback(lease.release)
        at_end.enter_context(_repeated(mirror.keep_lease, every_seconds=RENEWED_SECONDS))
        at_end.callback(_copy_the_rest, mirror, folder, store)
        at_end.enter_context(_repeated(mirror.try_copy, every_seconds=PAUSE_SECONDS))
        yield mirror


@contextmanager
def _repeated(work: Callable[[], object], *, every_seconds: float) -> Iterator[None]:
    """Repeats work in a thread until the end of this context, which waits for work in progress."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(every_seconds):
            work()

    thread = threading.Thread(target=repeat, name="mirror", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _copy_the_rest(mirror: Mirror, folder: Path, store: str) -> None:
    was_taken_over = mirror.taken_over is not None
    with Waiting(f"Copying the last changes to {store}"):
        is_done = _in_a_few_attempts(mirror.try_copy)
    if is_done:
        if mirror.taken_over is not None and not was_taken_over:
            logger.warning("%s; the last changes are in %s alone.", mirror.taken_over, folder)
        return
    logger.warning("%s lacks the last changes; they are in %s: copy that folder there.", store, folder)


def _in_a_few_attempts(work: Callable[[], bool]) -> bool:
    """Whether one of a few attempts succeeded."""
    for attempt in range(LAST_ATTEMPTS):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        if work():
            return True
    return False


def _files(folder: Path, below: str = "") -> dict[str, Stamp]:
    """Size and time of each file by name; hidden ones are locks and unfinished. Without `below`, no checkpoints."""
    found: dict[str, Stamp] = {}
    for place, folders, names in os.walk(folder / below):
        folders[:] = [name for name in folders if not name.startswith(".") and (below or name != CHECKPOINTS)]
        for path in (Path(place, name) for name in names if not name.startswith(".")):
            # A running search may remove it, also between two questions about it.
            with suppress(FileNotFoundError):
                stat = path.stat()
                found[path.relative_to(folder).as_posix()] = (stat.st_size, stat.st_mtime_ns)
    return found
