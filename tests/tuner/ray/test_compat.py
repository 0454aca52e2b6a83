"""The private parts of Ray that are touched, in a cluster of one's own, as Ray really starts its processes."""

import ctypes
import os
import subprocess
import sys
from contextlib import suppress
from ipaddress import ip_address

import psutil
import pytest
import ray
from ray._private import ray_constants
from ray.tune.execution import class_cache

from tests.tuner.end_to_end.search_process import title
from tuner.ray.cluster import ENVIRONMENT, ray_running
from tuner.ray.compat import ON_LOOPBACK_VARIABLE, CoreLogLevel, on_loopback


class Process:
    def reported(self):
        return os.getpid(), dict(os.environ)


@pytest.fixture(scope="module")
def local():
    with pytest.MonkeyPatch.context() as patch:
        for name in [*ENVIRONMENT, ON_LOOPBACK_VARIABLE]:
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


def test_a_trial_begins_in_a_prestarted_process_with_the_environment_that_tune_would_set(local):
    ready = spare_processes()
    given = class_cache._ActorClassCache().get(Process).remote()
    process, environment = ray.get(given.reported.remote())
    assert process in ready
    assert ENVIRONMENT.items() <= environment.items()


LISTENING = {"gcs_server", "raylet", "ray::DashboardAgent", "ray::RuntimeEnvAgent", "ray::Process"}


def listening_processes() -> list[tuple[str, str]]:
    """The name of each process of Ray and the address of each socket that it listens on."""
    found = []
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            sockets = [one for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN]
            found += [(process.name(), one.laddr.ip) for one in sockets]
    return found


def is_loopback(address: str) -> bool:
    ip = ip_address(address)
    return (getattr(ip, "ipv4_mapped", None) or ip).is_loopback


def test_a_ray_of_one_s_own_listens_on_the_loopback_address_alone(local):
    worker = ray.remote(Process).remote()
    ray.get(worker.reported.remote())
    names: list[str] = []
    # The agents start in the background; the second socket of one is that of its metrics.
    while not set(names) >= LISTENING or names.count("ray::DashboardAgent") < 2:
        found = listening_processes()
        names = [name for name, _ in found]
    assert not [(name, address) for name, address in found if not is_loopback(address)]


@pytest.mark.parametrize("own", ["1", None])
def test_ray_joins_a_cluster_as_before_and_a_user_s_own_choice_is_kept(own, monkeypatch):
    monkeypatch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", True)
    monkeypatch.delenv(ON_LOOPBACK_VARIABLE, raising=False)
    if own:
        monkeypatch.setenv(ON_LOOPBACK_VARIABLE, own)
    with on_loopback():
        assert (own is not None) == ray_constants.ENABLE_RAY_CLUSTER
    assert ray_constants.ENABLE_RAY_CLUSTER


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
def test_a_head_on_this_machine_that_dies_is_reported_in_a_sentence():
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
