"""Every private part of Ray that is touched, with the reason; tests/tuner/ray/test_compat.py holds what they rely on.

Each stands for something that Ray's public interface does not offer yet. When a new Ray breaks one, its test says so;
what is lost without it is said here, so that it can be dropped.
"""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def inherited_environment() -> Iterator[None]:
    """Trial processes get no environment variables of their own from Tune; they inherit the same ones anyway.

    Why: with variables of its own a trial does not fit any of the processes that Ray has started ahead, and its first
    epoch begins one to two seconds later. Public request, closed without an answer: a trainable's own runtime
    environment, https://github.com/ray-project/ray/issues/47215.
    """
    from ray.tune.execution import class_cache

    former = class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE
    class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = {}, set()
    try:
        yield
    finally:
        class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = former
