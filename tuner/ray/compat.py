"""Every use of Ray's private parts, with its reason; tests/tuner/ray/test_compat.py tests what they rely on.

Each replaces something that Ray's public interface does not offer. When a new Ray breaks one, its test fails; its
docstring says what is lost without it, so that it can be dropped.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any

PACKAGES = Path(__file__).resolve().parents[2]
"""The folder that our packages are in."""


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


def job_with_own_packages_first() -> Any:
    """A `ray.job_config.JobConfig` with which every process of the job imports our packages and what is installed
    beside Ray, whatever lies in the working folder.

    Why: Ray puts the working folder of the driver first on the path of its processes. A user's file tuner.py or
    torch.py in it would be imported instead of the package, and each training would fail. Ray inserts the paths of
    `_py_driver_sys_path` one after the other at the front, after it has added the working folder to them.
    """
    import ray
    from ray.job_config import JobConfig

    installed = Path(ray.__file__).parents[1]

    class Paths(list):
        def extend(self, others: Any) -> None:
            super().extend([*others, str(installed), str(PACKAGES)])

    job = JobConfig()
    job._py_driver_sys_path = Paths()
    return job


ON_LOOPBACK_VARIABLE = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Ray's own; 0 keeps a local Ray on the loopback address, 1 makes it listen on all."""


@contextmanager
def on_loopback() -> Iterator[None]:
    """Processes of a Ray that starts in this context listen on the loopback address alone, as they do on macOS.

    Why: else its head, its node and its workers listen on all addresses of the machine. ON_LOOPBACK_VARIABLE does the
    same only where it is set before Ray is imported, which a notebook may have done already, and then until the process
    ends, so that it could not join a cluster later. Where the user has set it, it is kept. Without this function they
    listen on all addresses; the token guards them, but not the ports of the metrics.
    """
    from ray._private import ray_constants

    former = ray_constants.ENABLE_RAY_CLUSTER
    if ON_LOOPBACK_VARIABLE not in os.environ:
        ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = former


class CoreLogLevel(IntEnum):
    """Levels of Ray's C++ code, by its own numbers."""

    INFO = 0
    ERROR = 2
    FATAL = 3


def set_core_log_level(level: CoreLogLevel) -> None:
    """The least level that Ray's C++ code logs in this process from now on; each `ray.init` sets it to INFO.

    Why: it writes errors of its own to the terminal (`[..., E 12 34] core_worker_process.cc:825: Failed to establish
    connection to the metrics exporter agent.`), whatever `log_to_driver` and `logging_level` say, and Ray raises what
    concerns the search as Python errors. RAY_BACKEND_LOG_LEVEL does the same and is reported on the terminal by a line
    of its own; where the user has set it, it is kept. Without this function the lines are back.
    """
    import ray

    name = "_ZN3ray6RayLog21InitSeverityThresholdENS_11RayLogLevelE"
    set_level = getattr(ctypes.CDLL(ray._raylet.__file__), name, None)
    if set_level is not None and "RAY_BACKEND_LOG_LEVEL" not in os.environ:
        set_level(ctypes.c_int(level))
