"""Lets one machine at a time continue a search from its store.

A store has no locks. The lease is an object in it that its owner renews until its search ends; one that is no longer
renewed is taken over. Whether it is renewed is watched, and its owner counts seconds, so no clock that can be set
matters.
"""

import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from trainable.remote.remote_folder import RemoteFolder
from trainable.reporting.waiting import Waiting
from tuner.records.lock import owner_facts, owner_in_words, process_birth, process_space

LEASE = ".lease"
RENEWED_SECONDS = 15.0
WATCHED_SECONDS, LOOK_SECONDS = 60.0, 2.0
"""A lease that is not renewed for so long is stale; between two looks at it."""
SETTLING_SECONDS = 0.5
"""After a lease was written: of two that write at once, the later one has it."""


class LeaseLostError(Exception):
    """Another machine continues the search; the message says which."""


class Lease:
    """The right to write to one search in a store.

    Args:
        store: the URI of the search.
    """

    def __init__(
        self,
        store: str,
        *,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self._pause, self._clock = pause, clock
        self._facts = {
            "id": uuid4().hex,
            **owner_facts(),
            "space": process_space(),
            "birth": process_birth(os.getpid()),
        }
        self._id, self._written, self._num_written = self._facts["id"], 0.0, 0
        self._opened: RemoteFolder | None = None
        self.is_held = False

    def take(self) -> str | None:
        """Takes it; returns a sentence where it is taken over from an owner that is gone.

        Raises:
            ValueError: another process renews it.
            OSError: the store can't be reached.
        """
        found = self._read()
        is_taken_over = found is not None and self._is_gone(found)
        if found is not None and not is_taken_over:
            raise ValueError(f"{self.store} is in use by {owner_in_words(found)}; wait until it ends, or stop it.")
        self._write()
        self._pause(SETTLING_SECONDS)
        if (other := self._read()) is not None and other.get("id") != self._id:
            raise ValueError(f"{self.store} is in use by {owner_in_words(other)}; wait until it ends, or stop it.")
        self.is_held = True
        return None if found is None else f"{self.store} is taken over from {owner_in_words(found)}, which is gone."

    def renew(self) -> None:
        """Before each pass of a copy, and beside one that takes long.

        Raises:
            LeaseLostError: another process has taken it over.
            OSError: the store can't be reached.
        """
        found = self._read()
        if found is not None and found.get("id") != self._id:
            self.is_held = False
            raise LeaseLostError(f"{self.store} is continued by {owner_in_words(found)}")
        if found is None or self._clock() - self._written >= RENEWED_SECONDS:
            self._write()
        self.is_held = True

    def release(self) -> None:
        """A store that can't be reached keeps a lease that becomes stale."""
        with suppress(OSError):
            if self.is_held and (found := self._read()) is not None and found.get("id") == self._id:
                self._remote.remove(LEASE)
        self.is_held = False

    def _is_gone(self, found: Mapping[str, Any]) -> bool:
        if found.get("host") == platform.node() and found.get("space") == process_space() is not None:
            birth = process_birth(found.get("process"))
            # Another process may have its number by now; leases of older versions say only the number.
            return birth is None or birth != found.get("birth", birth)
        with Waiting(f"{self.store} was in use by {owner_in_words(found)}: looking whether it still is"):
            for _ in range(int(WATCHED_SECONDS / LOOK_SECONDS)):
                self._pause(LOOK_SECONDS)
                if (now := self._read()) != found:
                    return now is None
        return True

    def _read(self) -> dict[str, Any] | None:
        """Reads the lease; None if there is none, or it is unreadable."""
        with TemporaryDirectory() as scratch:
            file = Path(scratch) / "lease"
            if not self._remote.get(LEASE, file):
                return None
            try:
                content = json.loads(file.read_bytes())
            except ValueError:
                return None
        return content if isinstance(content, dict) else None

    def _write(self) -> None:
        self._written, self._num_written = self._clock(), self._num_written + 1
        with TemporaryDirectory() as scratch:
            file = Path(scratch) / "lease"
            file.write_text(json.dumps(self._facts | {"written": self._num_written}), encoding="utf-8")
            self._remote.put(file, LEASE)

    @property
    def _remote(self) -> RemoteFolder:
        self._opened = self._opened or RemoteFolder(self.store)
        return self._opened
