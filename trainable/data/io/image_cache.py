"""Decoded images on disk: built once, memory-mapped by every trial of a node.

`cached_folder` owns the folder (atomic, locked, checked). Each kind of data owns what lies in it: raw bytes and JSON,
nothing that can run code when read. A cache may be deleted at any time; the next search builds it again.
"""

import errno
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import PIL
from filelock import FileLock

logger = logging.getLogger(__name__)

FORMAT_VERSION = 4
"""Also raised when a folder is checked or read otherwise: what an earlier version built must not stand for it."""
CACHE_VARIABLE = "VISION_TUNER_CACHE"
_MANIFEST = "manifest.json"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR)
_NUM_SAMPLED_BLOCKS = 16
_BLOCK_BYTES = 64 * 1024


class CacheError(ValueError):
    """The cache folder cannot be used: no space, no permission."""


def default_cache_dir() -> Path:
    """$VISION_TUNER_CACHE, else ~/.cache/vision-tuner."""
    return Path(os.environ.get(CACHE_VARIABLE) or "~/.cache/vision-tuner").expanduser()


def drawing_key(kind: str, config: object, *sources: str) -> str:
    """The key of drawn data; changes with the drawing code too: pictures of another version are other pictures.

    Args:
        sources: the files that draw.
    """
    code = b"".join(Path(source).read_bytes() for source in sources)
    versions = f"{config} numpy {np.__version__} pillow {PIL.__version__}"
    return f"{kind}-{hashlib.sha256(code + versions.encode()).hexdigest()[:20]}"


def cached_folder(key: str, cache_dir: Path, build: Callable[[Path], None], *, needed_bytes: int = 0) -> Path:
    """Returns the complete folder of this key, calling `build(empty_folder)` first when it is absent or damaged.

    Of several processes that ask at once one builds and the others wait. A build that fails leaves nothing behind.

    Raises:
        CacheError: the folder cannot be written, or the disk is full.
    """
    folder = cache_dir / f"{key}-v{FORMAT_VERSION}"
    if folder.is_dir() and _damage(folder) is None:
        return folder
    with disk_errors_as_sentences(cache_dir):
        cache_dir.mkdir(parents=True, exist_ok=True)
        lock = FileLock(cache_dir / f"{folder.name}.lock").acquire()
    with lock:
        if folder.is_dir():
            damage = _damage(folder)
            if damage is None:
                return folder
            logger.warning("The cache %s is damaged (%s): it is built again.", folder, damage)
            shutil.rmtree(folder)
        require_space(cache_dir, needed_bytes)
        _build_beside(folder, build)
    return folder


@contextmanager
def disk_errors_as_sentences(cache_dir: Path) -> Iterator[None]:
    """A full disk or a folder that cannot be written becomes a CacheError; any other error stays what it is."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise CacheError(_no_space(cache_dir)) from error
        if error.errno in _NOT_WRITABLE:
            raise CacheError(
                f"The cache folder {cache_dir} cannot be written ({error.strerror}); "
                f"set {CACHE_VARIABLE} to a folder that can."
            ) from error
        raise


def require_space(cache_dir: Path, num_bytes: int) -> None:
    """Minutes of decoding are not spent on what will not fit."""
    if shutil.disk_usage(cache_dir).free < num_bytes:
        raise CacheError(f"{_no_space(cache_dir)} The images need {num_bytes / 1e6:.0f} MB.")


def fingerprint(splits: Mapping[str, list[tuple[str, str]]]) -> dict[str, str]:
    """sha256 of each split and of `all`, over its (name, content digest) pairs in order of name."""
    everything = [line for lines in splits.values() for line in lines]
    return {
        split: hashlib.sha256("\n".join(f"{name} {digest}" for name, digest in sorted(lines)).encode()).hexdigest()
        for split, lines in {**splits, "all": everything}.items()
    }


def pixel_digest(*arrays: np.ndarray) -> str:
    """sha256 of shapes and bytes."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _build_beside(folder: Path, build: Callable[[Path], None]) -> None:
    """Builds under another name, which the lock makes ours alone, and moves it into place when it is whole."""
    unfinished = folder.with_name(f"{folder.name}.building")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        with disk_errors_as_sentences(folder.parent):
            unfinished.mkdir()
            build(unfinished)
            _write_manifest(unfinished)
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _no_space(cache_dir: Path) -> str:
    free_mb = shutil.disk_usage(cache_dir).free / 1e6
    return (
        f"The disk of the cache folder {cache_dir} is full ({free_mb:.0f} MB free); nothing half-made was left there. "
        f"Free some space, or set {CACHE_VARIABLE} to a folder on another disk."
    )


def _write_manifest(folder: Path) -> None:
    """Written last, after the bytes reached the disk: a folder with a manifest that fits is whole."""
    files = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        files[path.name] = [path.stat().st_size, _sampled_digest(path)]
    (folder / _MANIFEST).write_text(json.dumps(files), encoding="utf-8")


def _damage(folder: Path) -> str | None:
    """Describes damage of a finished folder, from blocks spread over each file; None if there is none."""
    try:
        files = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        for name, (num_bytes, digest) in files.items():
            size = (folder / name).stat().st_size
            if size != num_bytes:
                return f"{name} has {size} bytes instead of {num_bytes}"
            if _sampled_digest(folder / name) != digest:
                return f"the bytes of {name} have changed"
    except (OSError, ValueError) as error:
        return str(error)
    return None


def _sampled_digest(path: Path) -> str:
    num_bytes = path.stat().st_size
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for start in np.linspace(0, max(0, num_bytes - _BLOCK_BYTES), _NUM_SAMPLED_BLOCKS, dtype=np.int64):
            file.seek(start)
            digest.update(file.read(_BLOCK_BYTES))
    return digest.hexdigest()
