"""The user's own lines in an error, without those of this package and of libraries."""

import sysconfig
import traceback
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_OURS = tuple(_ROOT / name for name in ("search_spaces", "trainable", "tuner"))
_LIBRARIES = tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "platlib", "purelib"))


def user_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Returns the frames of the error that are in the user's files, innermost last."""
    return [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_below(frame, _OURS + _LIBRARIES)]


def in_words(error: BaseException) -> str:
    """Returns the text of an error, with its type unless this package raised it for people."""
    if is_our_sentence(error):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def is_our_sentence(error: BaseException) -> bool:
    """Whether this package raised the error, with a message for people."""
    frames = traceback.extract_tb(error.__traceback__)
    return isinstance(error, ValueError) and bool(frames) and _is_below(frames[-1], _OURS)


def _is_below(frame: traceback.FrameSummary, folders: tuple[Path, ...]) -> bool:
    file = Path(frame.filename)
    # The constructor of a dataclass is "<string>".
    return frame.filename.startswith(("<frozen", "<string>")) or any(file.is_relative_to(folder) for folder in folders)
