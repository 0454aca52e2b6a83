"""The checkpoints of one trial on the machine that trains it: in the results folder, in a store, or in both.

A store has each checkpoint before its epoch is reported, so that any machine can continue the trial.
"""

import logging
import math
import platform
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from trainable.console.command_line import DISK_FULL
from trainable.remote.remote_folder import RemoteFolder

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 600.0
LONGEST_PAUSE_SECONDS = 30.0
"""Between two attempts. So long a store that is away is left alone where it can wait: one that fails may take 6 s."""


@dataclass(eq=False)
class TrialCheckpoints:
    """Saves and finds the checkpoints of a trial."""

    folder: Path
    """Folder in the results of the search, which this machine may not see."""
    store: str | None
    """URI of the same folder in a store; None where every machine sees the results folder."""
    _: KW_ONLY
    scratch: Path | None = None
    """Folder of temporary copies, which disappears with the process; None is the system's."""
    pause: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _next_attempt: float = field(default=-math.inf, init=False)
    _opened: RemoteFolder | None = field(default=None, init=False)

    def save(self, name: str, write: Callable[[Path], None]) -> None:
        """Has a checkpoint written, and copies it to the store.

        Where the results folder is on this machine, the search copies later what the store does not take now.
        Elsewhere the copy is the only one: it is tried for PATIENCE_SECONDS.

        Raises:
            OSError: the disk is full, or the store can't be reached.
        """
        if self.store is None or self.folder.is_dir():
            write(self.folder / name)
            if self.store is None or self.clock() < self._next_attempt:
                return
            try:
                self._remote.put(self.folder / name, name)
            except OSError as error:
                self._next_attempt = self.clock() + LONGEST_PAUSE_SECONDS
                logger.warning("%s has not been copied to %s yet: %s", name, self.store, error)
            return
        with TemporaryDirectory(prefix="checkpoint-", dir=self.scratch) as scratch:
            write(Path(scratch) / name)
            self._patiently(lambda: self._remote.put(Path(scratch) / name, name))

    @contextmanager
    def found(self, name: str) -> Iterator[Path]:
        """Returns the path of a checkpoint, fetched if it is not on this machine; without a file if it is lost.

        Raises:
            OSError: the disk is full, or the store can't be reached for PATIENCE_SECONDS.
        """
        if self.store is None or self.folder.is_dir():
            if self.store is not None and not (self.folder / name).is_file():
                self._get_patiently(name, self.folder / name)
            yield self.folder / name
            return
        with TemporaryDirectory(prefix="checkpoint-", dir=self.scratch) as scratch:
            self._get_patiently(name, Path(scratch) / name)
            yield Path(scratch) / name

    @property
    def _remote(self) -> RemoteFolder:
        if self._opened is None:
            assert self.store is not None, "there is no store"
            self._opened = RemoteFolder(self.store)
        return self._opened

    def _get_patiently(self, name: str, file: Path) -> None:
        """Waits for the store, since a failure would cost a good trial, but not for a full disk here."""
        self._patiently(lambda: self._remote.get(name, file), unless=DISK_FULL)

    def _patiently(self, work: Callable[[], object], *, unless: Collection[int] = ()) -> None:
        waited, pause = 0.0, 1.0
        while True:
            try:
                work()
                return
            except OSError as error:
                if waited >= PATIENCE_SECONDS or error.errno in unless:
                    raise
                logger.warning(
                    "%s waits: %s can't be reached, next attempt in %g s: %s",
                    platform.node(),
                    self.store,
                    pause,
                    error,
                )
            self.pause(pause)
            waited, pause = waited + pause, min(2 * pause, LONGEST_PAUSE_SECONDS)
