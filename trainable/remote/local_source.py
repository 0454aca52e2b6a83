"""The location of a configuration's data on this machine."""

from pathlib import Path

from trainable.remote.uri import is_uri


def absolute_source(source: str) -> str:
    """Returns the absolute path, because other processes have other working folders; a URI is unchanged."""
    return source if is_uri(source) else str(Path(source).absolute())


def local_source(source: str, cache_dir: Path | None = None) -> str:
    """Returns the path of the data on this machine: `source` itself, or the copy of the data at that URI.

    Args:
        cache_dir: None is this machine's own.

    Raises:
        ValueError: there is no data, it can't be reached, or the archive is damaged or leads out of its folder.
    """
    if not is_uri(source):
        return source
    # pyarrow takes a third of a second to import.
    from trainable.remote.fetched_data import fetch

    return str(fetch(source, cache_dir))
