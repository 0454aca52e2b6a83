"""Every use of Ray's private parts, with its reason; tests/tuner/ray/test_compat.py tests what they rely on.

Each replaces something that Ray's public interface does not offer. When a new Ray breaks one, its test fails; its
docstring says what is lost without it, so that it can be dropped.
"""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def inherited_environment() -> Iterator[None]:
    """Stops Tune from setting environment variables per trial process; they inherit the same ones anyway.

    Why: a trial with its own variables can't use the processes that Ray has prestarted, and its first epoch starts one
    to two seconds later. Public request, closed without an answer: a runtime environment per trainable,
    https://github.com/ray-project/ray/issues/47215.
    """
    from ray.tune.execution import class_cache

    former = class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE
    class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = {}, set()
    try:
        yield
    finally:
        class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = former
