"""Ray's own account of a search, from which it goes on: whether a killed search left it whole, and one that is.

Ray writes several files whenever it saves. A kill between two of them leaves one torn, or of another age than the
others; Ray would then not start, wait for trials that nobody trains, or end before all have begun. So all that it last
saved is kept beside them once more, in a single file that is replaced at once.
"""

import json
import pickle
import pickletools
import tarfile
import time
from pathlib import Path

from ray import cloudpickle, tune

_TRIALS, _PROPOSER, _COUNTER = "experiment_state-*.json", "searcher-state-*.pkl", "search_gen_state-*.json"
_SETUP = "tuner.pkl"
"""Written anew at the begin of every session."""
_KEPT, _PARTIAL = "kept.tar", ".kept.tar"
_MOST_OF_THE_TIME = 0.05
"""What keeping may take of a search's time, as much as Ray allows itself."""


def is_whole(ray_folder: Path) -> bool:
    """All that Ray reads can be read, and its trials are those that its proposer remembers."""
    try:
        if not tune.Tuner.can_restore(ray_folder):
            return False
        _check_complete(ray_folder / _SETUP)
        # A pickle, whatever its name says.
        cloudpickle.loads(_newest(ray_folder, _COUNTER).read_bytes())
        states = json.loads(_newest(ray_folder, _TRIALS).read_bytes())["trial_data"]
        known = {json.loads(state)["trial_id"] for state, _ in states}
        proposals = pickle.loads(_newest(ray_folder, _PROPOSER).read_bytes())["proposals"]
    except (ValueError, KeyError, EOFError, pickle.UnpicklingError):
        return False
    awaited = {trial for trial, proposal in proposals.items() if proposal.trial is not None}
    return awaited <= known <= proposals.keys()


class Keeper:
    """Keeps what Ray saves, each time or, where that takes long, now and then.

    Args:
        written: where Ray writes it, before it is copied to its place.
        ray_folder: its place.
    """

    def __init__(self, written: Path, ray_folder: Path) -> None:
        self._written, self._ray_folder = written, ray_folder
        self._kept_of: int | None = None
        self._rests_until = 0.0

    def catch_up(self) -> None:
        """To be called while Ray does not write: in between the steps of its controller."""
        newest = max(self._written.glob(_TRIALS), default=None)
        if newest is None or time.monotonic() < self._rests_until or newest.stat().st_mtime_ns == self._kept_of:
            return
        began = time.monotonic()
        with tarfile.open(self._ray_folder / _PARTIAL, "w") as archive:
            for pattern in (_TRIALS, _PROPOSER, _COUNTER):
                path = _newest(self._written, pattern)
                archive.add(path, arcname=path.name)
            archive.add(self._setup(), arcname=_SETUP)
        (self._ray_folder / _PARTIAL).replace(self._ray_folder / _KEPT)
        self._kept_of = newest.stat().st_mtime_ns
        now = time.monotonic()
        self._rests_until = now + (now - began) / _MOST_OF_THE_TIME

    def _setup(self) -> Path:
        """A resumed session has a copy where Ray writes, and from it Ray writes the one in its place all the time."""
        copied = self._written / _SETUP
        return copied if copied.exists() else self._ray_folder / _SETUP


def put_back(ray_folder: Path) -> bool:
    """What was kept takes the place of what Ray left; False where nothing was."""
    if not (ray_folder / _KEPT).exists():
        return False
    for pattern in (_TRIALS, _PROPOSER, _COUNTER):
        for path in ray_folder.glob(pattern):
            path.unlink()
    with tarfile.open(ray_folder / _KEPT) as archive:
        archive.extractall(ray_folder, filter="data")
    return is_whole(ray_folder)


def _check_complete(path: Path) -> None:
    """Raises ValueError where a pickle ends too early. It is not unpickled: what it holds needs a running Ray."""
    for _ in pickletools.genops(path.read_bytes()):
        pass


def _newest(folder: Path, pattern: str) -> Path:
    """Of the latest session, as Ray itself picks it."""
    paths = list(folder.glob(pattern))
    if not paths:
        raise ValueError(f"{folder} has no {pattern}")
    return max(paths)
