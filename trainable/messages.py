"""What the process logs: our own messages shown, those of libraries silenced, for as long as a context lasts."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

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
