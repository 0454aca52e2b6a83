"""Files that grow by whole lines: what follows the last line break was being written when its writer was killed."""

import os
from collections.abc import Iterator
from pathlib import Path


def complete_lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """Each with its place, such as `results/.../trials.jsonl, line 7`; none where there is no file."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    for number, line in enumerate(lines, start=1):
        yield f"{path}, line {number}", line


def append_line(path: Path, line: str) -> None:
    """Adds a line, in place of one that a kill tore."""
    cut_torn_line(path)
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def cut_torn_line(path: Path) -> None:
    """Shortens the file in place: written anew, it would be empty for a moment in which a kill loses everything."""
    if path.exists():
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
