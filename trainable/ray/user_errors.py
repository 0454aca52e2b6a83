"""Tells errors in the user's own code from those of a process or a machine, which may pass."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from trainable.configuration.user_frames import user_frames
from trainable.loop.loop_error import LoopError, as_loop_error
from trainable.techniques.memory import MemoryShortage, shortages_named
from trainable.techniques.optim.gradient_update import DivergedError


@contextmanager
def user_errors_named() -> Iterator[None]:
    """An error in the user's code becomes a LoopError with their line: it would come again. So it must be used in the
    process that trains: an error that Ray has carried from another one has lost its lines.

    Raises:
        LoopError: an error in the user's code.
        MemoryShortage: the process or its GPU is out of memory.
    """
    try:
        with shortages_named():
            yield
    except (LoopError, MemoryShortage, DivergedError, OSError, torch.AcceleratorError):
        # The last two wherever they were raised: it may be the disk or the device, and a new process goes on.
        raise
    except Exception as error:
        if not _is_of_users_code(error):
            raise
        raise as_loop_error(error, what="your code") from None


def _is_of_users_code(error: BaseException) -> bool:
    """Raised in it, or our sentence about an error in it."""
    return any(one is not None and user_frames(one) for one in (error, error.__cause__))
