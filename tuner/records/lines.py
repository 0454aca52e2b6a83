"""Files of JSON lines; an incomplete last line, left by a kill, is ignored."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def complete_lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yields each line with its location, such as `results/.../trials.jsonl, line 7`; nothing without a file."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    for number, line in enumerate(lines, start=1):
        yield f"{path}, line {number}", line


class LineFile:
    """Appends whole lines: what does not fit on the disk leaves no part of a line behind.

    Opening it removes an incomplete last line, in place: rewriting would leave the file empty for a moment.
    """

    def __init__(self, path: Path) -> None:
        if path.exists():
            os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
        self._path = path
        self._file = path.open("ab", buffering=0)

    def append(self, line: str) -> None:
        """Raises OSError with the name of the file when that can't be written; it is then as before."""
        end, rest = os.fstat(self._file.fileno()).st_size, f"{line}\n".encode()
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            # That of an open file names none.
            error.filename = str(self._path)
            raise
        finally:
            if rest:
                with contextlib.suppress(OSError):
                    self._file.truncate(end)

    def close(self) -> None:
        self._file.close()
