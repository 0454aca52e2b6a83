"""Errors in a loop, a space or a network of the user's own, in their words and frames."""

import traceback
from pathlib import Path

from trainable.configuration.user_frames import in_words, user_frames


class LoopError(ValueError):
    """The user's code failed, or a loop broke the rules of its handle; the last line says what and where."""


class ReturnedError(LoopError):
    """The function returned no values of the test split; retrying would not help."""


def as_loop_error(error: BaseException, *, what: str = "your loop") -> LoopError:
    """Converts an error to one with only the user's frames, and with message and place in the last line.

    Args:
        what: failed.
    """
    own = user_frames(error)
    if not own:
        return LoopError(in_words(error))
    first, *more = in_words(error).splitlines() or [""]
    place = f"({Path(own[-1].filename).name}, line {own[-1].lineno})"
    lines = [f"{what} failed:", *"".join(traceback.format_list(own)).splitlines(), *more, f"{first} {place}"]
    return LoopError("\n".join(lines))
