"""The private parts of Ray that are touched, in a cluster of one's own, as Ray really starts its processes."""

import ctypes
import os
import subprocess
import sys

import psutil
import pytest
import ray
from ray.tune.execution import class_cache

from tests.tuner.end_to_end.search_process import title
from tuner.ray.cluster import ENVIRONMENT, ray_running
from tuner.ray.compat import CoreLogLevel


class Process:
    def told(self):
        return os.getpid(), dict(os.environ)


@pytest.fixture(scope="module")
def local():
    with pytest.MonkeyPatch.context() as patch:
        for name in ENVIRONMENT:
            patch.delenv(name, raising=False)
        with ray_running(None):
            yield


def spare_processes() -> set[int]:
    """One for each CPU; it takes a moment to start them."""
    spare = set()
    while len(spare) < ray.cluster_resources()["CPU"]:
        children = psutil.Process().children(recursive=True)
        spare = {child.pid for child in children if title(child).startswith("ray::IDLE")}
    return spare


def test_ray_still_has_what_is_touched():
    """tuner.ray.compat.inherited_environment: drop it when this fails and the next test passes without it."""
    assert {"PL_DISABLE_FORK": ENVIRONMENT["PL_DISABLE_FORK"]} == class_cache.DEFAULT_ENV_VARS
    assert "RAY_CHDIR_TO_TRIAL_DIR" in class_cache.ENV_VARS_TO_PROPAGATE


def test_a_trial_begins_in_a_process_that_ray_has_ready_and_finds_there_what_tune_would_have_given_it(local):
    ready = spare_processes()
    given = class_cache._ActorClassCache().get(Process).remote()
    process, environment = ray.get(given.told.remote())
    assert process in ready
    assert ENVIRONMENT.items() <= environment.items()


def core_logs(level: CoreLogLevel) -> bool:
    is_enabled = ctypes.CDLL(ray._raylet.__file__)._ZN3ray6RayLog14IsLevelEnabledENS_11RayLogLevelE
    is_enabled.restype = ctypes.c_bool
    return is_enabled(ctypes.c_int(level))


def test_errors_of_ray_s_core_are_off_while_ray_runs(local):
    assert core_logs(CoreLogLevel.FATAL)
    assert not core_logs(CoreLogLevel.ERROR)


@pytest.mark.slow
@pytest.mark.parametrize(("level", "is_logged"), [(CoreLogLevel.INFO, True), (CoreLogLevel.FATAL, False)])
def test_what_ray_s_core_logs_reaches_the_terminal_only_where_it_is_on(level, is_logged):
    code = f"""if True:
        from ray._raylet import GcsClient
        from tuner.ray.compat import CoreLogLevel, set_core_log_level
        set_core_log_level(CoreLogLevel.{level.name})
        GcsClient(address="127.0.0.1:1").internal_kv_get(b"key", timeout=1)
    """
    patience = {"RAY_gcs_rpc_server_connect_timeout_s": "1", "RAY_gcs_rpc_server_reconnect_timeout_s": "1"}
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, env=os.environ | patience, capture_output=True, text=True, check=False)
    assert (" E " in ended.stderr) == is_logged
    assert is_logged or ended.stderr == ""


@pytest.mark.slow
def test_a_head_on_this_machine_that_dies_is_said_in_a_sentence():
    code = """if True:
        import time
        import psutil
        from tuner.ray.cluster import ray_running
        with ray_running(None, num_cpus=1):
            children = psutil.Process().children(recursive=True)
            next(child for child in children if "gcs_server" in child.name()).kill()
            time.sleep(60)
    """
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert "is gone. Finished epochs are saved; continue with --resume." in ended.stderr
    assert " E " not in ended.stderr
