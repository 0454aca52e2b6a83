"""Ray on this machine: with the CPUs that it may use, and a sentence where it does not start."""

import os
import re
import subprocess
import sys

import pytest

from tuner.ray.cluster import node_resources, ray_running

STARTED_AND_COUNTED = """
import psutil
from tuner.ray.cluster import ray_running
try:
    with ray_running(None):
        print("started")
except ValueError as error:
    print(error)
print(len(psutil.Process().children(recursive=True)), "processes left")
"""


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [
        ("RAY_gcs_server_port_wait_time_s", ".*"),
        ("RAY_DASHBOARD_STARTUP_TIMEOUT_S", "its dashboard did not start; .*"),
    ],
)
def test_a_ray_that_does_not_start_is_tried_again_and_ends_in_a_sentence_without_processes(seconds, reason):
    impatient = os.environ | {seconds: "0"}
    command = [sys.executable, "-W", "ignore", "-c", STARTED_AND_COUNTED]
    done = subprocess.run(command, env=impatient, capture_output=True, text=True, check=True)
    assert re.findall(r"^Ray did not start, attempt (\d) of 2", done.stderr, flags=re.MULTILINE) == ["1", "2"]
    sentence, left = done.stdout.splitlines()
    assert re.match(f"Ray did not start on this machine: {reason}. Wait until it is less busy and has memory", sentence)
    assert ".." not in sentence
    assert left == "0 processes left"


PRIVATE = """
import sys, tempfile
from pathlib import Path
from tuner.ray.cluster import node_resources, ray_running
with ray_running(None, num_cpus=1) as cluster:
    assert node_resources()
    folder = cluster.scratch.parent
    print(oct(folder.stat().st_mode)[-3:], any(folder.rglob("session_*")))
"""


def test_ray_starts_without_a_home_folder_in_one_that_other_users_cannot_open(tmp_path):
    (tmp_path / "home").write_text("no folder")
    without = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    command = [sys.executable, "-W", "ignore", "-c", PRIVATE]
    environment = without | {"HOME": str(tmp_path / "home")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "700 True\n", done.stderr


@pytest.mark.slow
@pytest.mark.slow
def test_trials_get_the_cpus_that_were_asked_for_whatever_ray_address_says(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with ray_running(None, num_cpus=3, num_gpus=2):
        assert [(node["CPU"], node["GPU"]) for node in node_resources()] == [(3.0, 2.0)]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no CPU affinity")
def test_trials_get_the_cpus_that_taskset_left_to_the_process():
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        with ray_running(None):
            assert [node["CPU"] for node in node_resources()] == [1.0]
    finally:
        os.sched_setaffinity(0, allowed)
