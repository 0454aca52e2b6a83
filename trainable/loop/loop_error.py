"""What went wrong in a loop of the user's own, in their words and frames."""

import sysconfig
import traceback
from pathlib import Path

_OURS = Path(__file__).resolve().parents[1]
_LIBRARIES = tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "platlib", "purelib"))


class LoopError(ValueError):
    """The loop failed, or broke the rules of its handle; the last line says what and where."""


def told(error: BaseException) -> LoopError:
    """The same error with the user's frames alone, and its sentence and place in the last line."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not _is_of_library(Path(frame.filename))]
    if not own:
        return LoopError(f"{type(error).__name__}: {error}")
    sentence = str(error) if isinstance(error, LoopError) else f"{type(error).__name__}: {error}"
    first, *more = sentence.splitlines() or [""]
    place = f"({Path(own[-1].filename).name}, line {own[-1].lineno})"
    lines = ["your loop failed:", *"".join(traceback.format_list(own)).splitlines(), *more, f"{first} {place}"]
    return LoopError("\n".join(lines))


def _is_of_library(file: Path) -> bool:
    return any(file.is_relative_to(folder) for folder in (_OURS, *_LIBRARIES)) or file.name.startswith("<frozen")
