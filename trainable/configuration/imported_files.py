"""The files of a user's project that a module of theirs imports, found in the sources without importing anything."""

import ast
import sysconfig
from collections.abc import Iterator
from pathlib import Path

_HERE = Path(__file__).resolve().parents[2]
_OURS = tuple(_HERE / name for name in ("search_spaces", "trainable", "tuner"))
_LIBRARIES = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platlib", "purelib"))


def imported_files(module: str, file: Path, folder: Path) -> tuple[Path, ...]:
    """The files below a project's folder that a module imports, itself or through others of them, sorted.

    Imports inside functions count; names that are put together while the program runs are not seen.

    Args:
        module: its name as seen from `folder`.
        file: its source.
        folder: where names of the project's modules begin; of an installed module nothing is followed.
    """
    if folder.resolve() in _LIBRARIES:
        return ()
    found: set[Path] = set()
    waiting = [file, *_files_of(module, folder)]
    while waiting:
        source = waiting.pop()
        if source in found or any(source.resolve().is_relative_to(ours) for ours in _OURS):
            continue
        found.add(source)
        for name in _imported_names(source, folder):
            waiting.extend(_files_of(name, folder))
    return tuple(sorted(found - {file}))


def _imported_names(source: Path, folder: Path) -> Iterator[str]:
    """Full names that a file imports: modules, and names that may be modules of a package."""
    try:
        tree = ast.parse(source.read_bytes())
    except (SyntaxError, ValueError):
        return  # The import itself reports the line.
    package = source.parent.relative_to(folder).parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            around = package[: len(package) + 1 - node.level] if node.level else ()
            base = [*around, *([node.module] if node.module else [])]
            yield from (".".join([*base, alias.name]) for alias in node.names)


def _files_of(name: str, folder: Path) -> Iterator[Path]:
    """Source files in the folder of a module and of its parent packages."""
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        place = folder.joinpath(*parts[:depth])
        for candidate in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if candidate.is_file():
                yield candidate
                break
