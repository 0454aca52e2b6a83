"""Every private part of Ray that is touched, with the reason; tests/tuner/ray/test_compat.py holds what they rely on.

Each stands for something that Ray's public interface does not offer yet. When a new Ray breaks one, its test says so;
what is lost without it is said here, so that it can be dropped.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial


@contextmanager
def processes_in_their_own_group() -> Iterator[None]:
    """Ray's own processes are started outside the process group of the search.

    Why: a signal to the whole group, as `timeout`, a closed terminal and Slurm send it, would end Ray before the search
    could stop in good order: without this the search hangs for a minute in ray.shutdown().
    Public wish: https://github.com/ray-project/ray/issues/39451.
    """
    from ray._private import services

    former = services.ConsolePopen
    services.ConsolePopen = partial(former, process_group=0)
    try:
        yield
    finally:
        services.ConsolePopen = former


@contextmanager
def inherited_environment() -> Iterator[None]:
    """Trial processes get no environment variables of their own from Tune; they inherit the same ones anyway.

    Why: with variables of its own a trial does not fit any of the processes that Ray has started ahead, and its first
    epoch begins a second later.
    Public wish: none is known; Tune sets the variables without asking.
    """
    from ray.tune.execution import class_cache

    former = class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE
    class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = {}, set()
    try:
        yield
    finally:
        class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = former
