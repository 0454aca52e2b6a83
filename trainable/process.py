"""What a process of ours sets for itself: garbage collection around imports, and which loggers are heard."""

import atexit
import gc
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """For imports: those of torch, Ray and Optuna take a third less time when nobody collects meanwhile."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def freeze_imports() -> None:
    """Leaves what there is now out of all later collections, 0.14 s less for each full one.

    For a process of our own at its beginning, when there is hardly more than modules; `gc.unfreeze` takes it back.
    """
    gc.freeze()
    # Some modules count at the end of the process what was not released, and print it.
    atexit.register(gc.unfreeze)


OURS = ("trainable", "tuner")


@contextmanager
def shown() -> Iterator[None]:
    """Ours from INFO up go to standard error as plain text, unless the process has handlers of its own."""
    handler = logging.StreamHandler()
    with ExitStack() as stack:
        for name in OURS:
            logger = logging.getLogger(name)
            stack.enter_context(_at_level(logger, logging.INFO))
            if not logging.getLogger().handlers:
                logger.addHandler(handler)
                stack.callback(logger.removeHandler, handler)
        yield


@contextmanager
def silenced(*names: str, level: int = logging.WARNING) -> Iterator[None]:
    """These loggers say nothing below this level."""
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(_at_level(logging.getLogger(name), level))
        yield


@contextmanager
def _at_level(logger: logging.Logger, level: int) -> Iterator[None]:
    former = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(former)
