"""Reads many files at once, in order and with a count, and remembers their sha256: a file whose size and times have not
changed is not read again.
"""

import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from trainable.data.io.findings import DataError, Finding
from trainable.data.io.folder_layout import plain_name
from trainable.data.io.image_cache import disk_errors_as_sentences

Item = TypeVar("Item")
Result = TypeVar("Result")
_NUM_THREADS = os.cpu_count() or 1
_MOST_WAITING = 4 * _NUM_THREADS
MOST_PIXELS_WAITING = 250_000_000
"""Most pixels of pictures that are being decoded or wait to be taken: more threads do not take more memory."""


@dataclass(slots=True)
class Ticker:
    """Calls `on_progress(done, total)` once for every call of its own."""

    total: int
    on_progress: Callable[[int, int], None] | None
    done: int = 0

    def __call__(self) -> None:
        self.done += 1
        if self.on_progress is not None:
            self.on_progress(self.done, self.total)


def in_parallel(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    tick: Callable[[], None] = lambda: None,
    *,
    num_pixels: Callable[[Item], int] = lambda _: 0,
) -> Iterator[Result]:
    """Results in order, at most a few for each core at once. Threads: decoders let go of the interpreter.

    Args:
        tick: called before each result.
        num_pixels: what an item's pictures hold; `MOST_PIXELS_WAITING` are in memory at once, or one larger item alone.
    """
    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        waiting: deque[tuple[int, Future[Result]]] = deque()
        pixels_waiting = 0
        for item in items:
            pixels = num_pixels(item)
            while waiting and (len(waiting) == _MOST_WAITING or pixels_waiting + pixels > MOST_PIXELS_WAITING):
                pixels_taken, future = waiting.popleft()
                pixels_waiting -= pixels_taken
                tick()
                yield future.result()
            waiting.append((pixels, pool.submit(function, item)))
            pixels_waiting += pixels
        for _, future in waiting:
            tick()
            yield future.result()


def content_digests(root: Path, files: Sequence[Path], cache_dir: Path) -> dict[Path, str]:
    """Files are given below the root; what is remembered lies in the cache folder, one JSON file for each root.

    Raises:
        DataError: naming every file that cannot be opened.
    """
    memory = cache_dir / "file_hashes" / f"{hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:32]}.json"
    try:
        known: dict[str, list] = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        known = {}  # Absent or damaged: hashing again is always right.
    lines = {file: line for file in files if (line := known.get(file.as_posix())) and line[:-1] == _stamp(root / file)}
    changed = [file for file in files if file not in lines]
    read = list(in_parallel(partial(_read, root), changed))
    unreadable = [line for line in read if isinstance(line, Finding)]
    if unreadable:
        raise DataError(f"{root}: {len(unreadable)} of {len(files)} files cannot be opened.", unreadable)
    lines |= {file: line for file, line in zip(changed, read, strict=True) if not isinstance(line, Finding)}
    if changed or len(known) != len(lines):
        unfinished = memory.with_suffix(f".{os.getpid()}")
        with disk_errors_as_sentences(cache_dir):
            memory.parent.mkdir(parents=True, exist_ok=True)
            remembered = {file.as_posix(): line for file, line in lines.items()}
            unfinished.write_text(json.dumps(remembered), encoding="utf-8")
            unfinished.replace(memory)
    return {file: line[-1] for file, line in lines.items()}


def _stamp(path: Path) -> list[int]:
    """Bytes, time modified, time changed; the last catches a file that was rewritten under its old modified time."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _read(root: Path, file: Path) -> list | Finding:
    """Stamp and sha256; the stamp is taken first, so that a file written meanwhile is read again next time."""
    try:
        stamp = _stamp(root / file)
        with (root / file).open("rb") as stream:
            return [*stamp, hashlib.file_digest(stream, "sha256").hexdigest()]
    except OSError as error:
        problem = f"cannot be opened: {error.strerror}"
        return Finding(file=plain_name(file), problem=problem, action="Make the file readable, or remove it.")
