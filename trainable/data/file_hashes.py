"""sha256 of every file, remembered: a file whose size and times have not changed is not read again."""

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from trainable.data.findings import DataError, Finding
from trainable.data.image_cache import disk_errors_as_sentences


def content_digests(root: Path, files: Sequence[Path], cache_dir: Path) -> dict[Path, str]:
    """Files are given below the root; what is remembered lies in the cache folder, one JSON file for each root.

    Raises:
        DataError: naming every file that cannot be opened.
    """
    memory = cache_dir / "file_hashes" / f"{hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:32]}.json"
    known = _recall(memory)
    with ThreadPoolExecutor() as pool:
        lines = dict(zip(files, pool.map(lambda file: _line(root, file, known), files), strict=True))
    unreadable = [line for line in lines.values() if isinstance(line, Finding)]
    if unreadable:
        raise DataError(f"{root}: {len(unreadable)} files cannot be opened.", unreadable)
    current = {file.as_posix(): line for file, line in lines.items()}
    if current != known:
        _remember(memory, current, cache_dir)
    return {file: line[-1] for file, line in lines.items()}


def _line(root: Path, file: Path, known: dict[str, list]) -> list | Finding:
    """[bytes, modified, changed, sha256]; the time of change catches a file rewritten with its old modified time."""
    try:
        status = (root / file).stat()
        stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        line = known.get(file.as_posix(), [])
        if line[:-1] == stamp:
            return line
        with (root / file).open("rb") as stream:
            return [*stamp, hashlib.file_digest(stream, "sha256").hexdigest()]
    except OSError as error:
        problem = f"cannot be opened: {error.strerror}"
        return Finding(file=file.as_posix(), problem=problem, action="Make the file readable, or remove the pair.")


def _recall(memory: Path) -> dict[str, list]:
    """Nothing when it is absent or damaged: hashing again is always right."""
    try:
        return json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}


def _remember(memory: Path, lines: dict[str, list], cache_dir: Path) -> None:
    unfinished = memory.with_suffix(f".{os.getpid()}")
    with disk_errors_as_sentences(cache_dir):
        memory.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(json.dumps(lines), encoding="utf-8")
        unfinished.replace(memory)
