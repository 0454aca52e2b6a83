"""References to a user's own objects: `module:NAME` or `path/to/file.py:NAME`.

A reference is found once, in the process that was given it, and recorded with the folder that goes on `sys.path` and
the hashes of its file and of the files of the project that it imports. Other processes and later commands activate what
was recorded and then import it by its module, so that classes compare equal and pickle by reference.
"""

import difflib
import hashlib
import importlib
import importlib.util
import platform
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from trainable.configuration.imported_files import imported_files
from trainable.configuration.user_frames import in_words, user_frames


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A user's file and its hash when it was recorded."""

    path: str
    """Absolute."""
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A user's object, and how to find it again."""

    text: str
    """`module:NAME`; a file is named by its module."""
    folder: str
    """The project's folder, which goes on `sys.path`."""
    file: str
    """The module's source, an absolute path."""
    sha256: str
    """Hash of the file."""
    imports: tuple[SourceFile, ...] | None = None
    """Files of the project that it imports; None where an older version recorded it."""


def is_reference(text: str) -> bool:
    """Whether the text references a user's object, instead of naming one of this package."""
    return ":" in text


def find(text: str) -> Reference:
    """Finds the module of a reference and puts its folder on `sys.path`; imports only the packages around it.

    Args:
        text: `module:NAME`, with the module in the working folder or installed, or `file.py:NAME`, with a path that is
            absolute, relative to the working folder, or begins with `~`.

    Raises:
        ValueError: it has another form, there is no such file or module, or another module has the file's name.
    """
    place, colon, name = text.rpartition(":")
    if not (colon and place and name.isidentifier()):
        raise ValueError(f"{text!r} is not a reference; give module:NAME or path/to/file.py:NAME.")
    module, file, folder = _of_file(text, place) if _is_path(place) else _of_module(text, place)
    imports = tuple(SourceFile(path=str(one), sha256=_sha256(one)) for one in imported_files(module, file, folder))
    return Reference(text=f"{module}:{name}", folder=str(folder), file=str(file), sha256=_sha256(file), imports=imports)


def references_of(model: object) -> tuple[Reference, ...]:
    """The user's own objects that the section `model` of a configuration names, found on this machine."""
    network = getattr(model, "network", None)
    return () if network is None else (find(network),)


def activate(references: Iterable[Reference]) -> None:
    """Puts the folders of recorded references on `sys.path`; a node of a cluster without the folder got the modules.

    Raises:
        ValueError: a file is missing or has changed since.
    """
    for reference in references:
        if _came_with_the_search(reference):
            continue
        _check_unchanged(Path(reference.file), reference.sha256, f"which holds {reference.text}")
        for one in reference.imports or ():
            _check_unchanged(Path(one.path), one.sha256, f"which {reference.text} imports")
        _add_to_path(Path(reference.folder))


def load(text: str, kind: type | tuple[type, ...] = object) -> Any:
    """The object of a reference `module:NAME` whose folder is on `sys.path`, or of a file, which is found.

    Args:
        kind: the classes that it may be an instance of.

    Raises:
        ValueError: the module cannot be imported, or has no such object, or one of another kind.
    """
    place, _, name = text.rpartition(":")
    module_name = find(text).text.rpartition(":")[0] if _is_path(place) else place
    module = _import_module(text, module_name)
    if not hasattr(module, name):
        known = [other for other in vars(module) if not other.startswith("_")]
        nearest = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else f"; it has {', '.join(sorted(known)) or 'nothing'}."
        raise ValueError(f"{module.__file__} has no {name}{hint}")
    found = getattr(module, name)
    if not isinstance(found, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        allowed = " or ".join(one.__name__ for one in kinds)
        what = f"the class {found.__name__}" if isinstance(found, type) else f"of type {type(found).__name__}"
        raise ValueError(f"{text} is {what}; it must be a {allowed}.")
    return found


def _came_with_the_search(reference: Reference) -> bool:
    """Whether the same module is on `sys.path` of a machine without the file."""
    if Path(reference.file).exists():
        return False
    try:
        found = _origin(reference.text.partition(":")[0])
    except ModuleNotFoundError:
        return False
    return found is not None and found.is_file() and _sha256(found) == reference.sha256


def _check_unchanged(file: Path, sha256: str, role: str) -> None:
    if not file.is_file():
        raise ValueError(
            f"{file}, {role}, is missing on {platform.node()}; restore it, or start over with the file where it is now."
        )
    if _sha256(file) != sha256:
        raise ValueError(f"{file}, {role}, has changed since; restore it, or start over with it as it is.")


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _is_path(place: str) -> bool:
    """Whether it names a file, not a module."""
    return place.endswith(".py") or "/" in place


def _of_file(text: str, given: str) -> tuple[str, Path, Path]:
    file = Path(given if given.endswith(".py") else f"{given}.py").expanduser().absolute()
    if ".." in file.parts:
        # One file has one name; a link to a folder stays as it was given, for other machines may lack its target.
        file = file.parent.resolve() / file.name
    if not file.is_file():
        where = "" if Path(given).is_absolute() else f"; looked for {file}"
        raise ValueError(f"{text!r} names the file {given}, which does not exist{where}.")
    module = file.stem
    if not module.isidentifier():
        raise ValueError(f"{given} cannot be imported; rename it to letters, digits and underscores.")
    _add_to_path(file.parent)
    origin = _origin(module)
    if origin is None or not origin.samefile(file):
        raise ValueError(f"{given} has the name of another module, {origin or 'a built-in one'}; rename the file.")
    return module, file, file.parent


def _of_module(text: str, module: str) -> tuple[str, Path, Path]:
    _add_to_path(Path.cwd())
    try:
        file = _origin(module)
    except ModuleNotFoundError:
        file = None
    if file is None:
        raise ValueError(f"{text!r} names the module {module}, which is neither installed nor in {Path.cwd()}.")
    depth = module.count(".") + (file.name == "__init__.py")
    return module, file, file.parents[depth]


def _origin(module: str) -> Path | None:
    importlib.invalidate_caches()
    spec = importlib.util.find_spec(module)
    return None if spec is None or not spec.has_location or spec.origin is None else Path(spec.origin).absolute()


def _add_to_path(folder: Path) -> None:
    """Appends the folder to `sys.path`, so that a user's file cannot shadow an installed module."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _import_module(text: str, module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except SystemExit as error:
        raise ValueError(
            f"{text} cannot be imported: {_place(error)}the file ends the process; what reads the command line or "
            "exits belongs below if __name__ == '__main__'."
        ) from error
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == module.partition(".")[0]:
            raise ValueError(f"{text} is not found: no module {error.name} in {', '.join(sys.path)}.") from error
        raise ValueError(f"{text} cannot be imported: {_place(error)}{in_words(error)}") from error


def _place(error: BaseException) -> str:
    """File and line of the user's code that raised the error."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}: "
    own = user_frames(error)
    return f"{own[-1].filename}, line {own[-1].lineno}: " if own else ""
