"""deploy/slurm.sh with programs in place of Slurm, Ray and the search: an end of the head, and a warning of Slurm."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "deploy" / "slurm.sh"
SRUN = 'case "$*" in *hostname*) echo 127.0.0.1 ;; *) exec bash -c "${!#}" ;; esac'
FAILING_RAY = "echo no memory; exit 3"
RAY = """
case "$1" in status) echo ' 1 node_1'; exit ;; esac
for option in "$@"; do
  case "$option" in --temp-dir=*) folder=${option#*=}; echo "folder $folder $(stat -c %a "${folder%/*}")" ;; esac
done
exec sleep 20
"""
SEARCH = """
case "$*" in *secrets*) echo password; exit ;; esac
trap 'sleep 0.5; echo saved; exit 7' TERM
echo "searching with $SRUN_CPUS_PER_TASK CPU: $*"
while true; do sleep 0.1; done
"""


class Job:
    """The script as Slurm would start it, on one node.

    Args:
        folder: for its programs and what it says.
        port: of Ray's head.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self._programs, self._said, self._port = folder / "bin", folder / "said.txt", port
        self._programs.mkdir()

    def start(self, *, ray: str) -> subprocess.Popen[bytes]:
        for name, lines in {"scontrol": "echo n1", "ray": ray, "python": SEARCH, "srun": SRUN}.items():
            (self._programs / name).write_text(f"#!/bin/bash\n{lines}\n")
            (self._programs / name).chmod(0o755)
        variables = {"SLURM_JOB_ID": str(self._port - 20_000), "SLURM_JOB_NODELIST": "n1", "SLURM_JOB_NUM_NODES": "1"}
        variables |= {"SLURM_CPUS_PER_TASK": "1", "PATH": f"{self._programs}:{os.environ['PATH']}"}
        with self._said.open("w") as said:
            command = ["bash", str(SCRIPT), "--space", "moe"]
            return subprocess.Popen(
                command, env=os.environ | variables, stdout=said, stderr=said, start_new_session=True
            )

    @property
    def said(self) -> str:
        return self._said.read_text()


@pytest.fixture
def listener():
    """A socket at a port that a job may choose for Ray's head; nothing is accepted before it listens."""
    with socket.socket() as one:
        for port in range(20_001, 40_000):
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
            yield one
            return


@pytest.fixture
def job(tmp_path, listener) -> Job:
    return Job(tmp_path, listener.getsockname()[1])


@pytest.fixture
def running(job, listener):
    """The script, and its search runs."""
    listener.listen()
    script = job.start(ray=RAY)
    until(lambda: "searching" in job.said and "folder" in job.said)
    yield script
    with suppress(ProcessLookupError):
        os.killpg(script.pid, signal.SIGTERM)
    until(lambda: not ray_folder(job).parent.exists())


def ray_folder(job: Job) -> Path:
    return Path(re.search(r"^folder (\S+)", job.said, flags=re.MULTILINE)[1])


def until(is_reached: Callable[[], bool]) -> None:
    for _ in range(300):
        if is_reached():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen in time")


def test_a_head_that_ends_ends_the_job_with_a_sentence(job):
    script = job.start(ray=FAILING_RAY)
    assert script.wait(timeout=30) == 1
    assert "no memory" in job.said
    assert "Ray's head on n1 has ended; its messages are above." in job.said


def test_sigterm_reaches_the_search_alone_and_its_status_is_that_of_the_job(job, running):
    assert "searching with 1 CPU: -m tuner.search --address 127.0.0.1:" in job.said
    running.send_signal(signal.SIGTERM)
    assert running.wait(timeout=30) == 7
    assert job.said.endswith("saved\n")
    # The head is Slurm's to end.
    os.killpg(running.pid, 0)


def test_ray_has_a_private_folder_with_a_short_path_which_goes_with_it(job, running):
    folder = ray_folder(job)
    assert f"folder {folder} 700" in job.said
    assert len(f"{folder}/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store") <= 107
    os.killpg(running.pid, signal.SIGTERM)
    until(lambda: not folder.parent.exists())
