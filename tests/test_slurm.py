"""deploy/slurm.sh under Slurm itself: a controller and two virtual nodes on this machine."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tuner.records import lock_folder, read_search

ROOT = Path(__file__).parents[1]
DAEMONS = ("slurmctld", "slurmd", "sbatch", "srun")
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(560),
    pytest.mark.skipif(
        os.geteuid() != 0 or not all(shutil.which(name, path=PATH) for name in DAEMONS),
        reason="no Slurm that root may start here: apt-get install slurm-wlm",
    ),
]
CONFIG = """
ClusterName=two
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
StateSaveLocation={place}/state
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd-%n.pid
SlurmdSpoolDir={place}/spool-%n
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""
RAY = """#!/bin/sh
exec {python} -W ignore -c 'import sys; sys.argv[0] = "ray"; from ray.scripts.scripts import main; main()' "$@"
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """The environment of commands that use it; daemons and commands end with the test."""
    for name in [name for name in os.environ if name.startswith(("RAY_", "SLURM_"))]:
        monkeypatch.delenv(name)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (programs / "ray").write_text(RAY.format(python=sys.executable))
    for program in programs.iterdir():
        program.chmod(0o755)
    (tmp_path / "state").mkdir()
    config = CONFIG.format(host=socket.gethostname().partition(".")[0], ports=free_ports(3), place=tmp_path)
    (tmp_path / "slurm.conf").write_text(config)
    with ExitStack() as daemons:
        environment = os.environ | {
            "SLURM_CONF": str(tmp_path / "slurm.conf"),
            "PATH": f"{programs}:{PATH}",
            "PYTHONPATH": str(ROOT),
            "RAY_raylet_start_wait_time_s": "120",
        }
        for name, *arguments in (["slurmctld", "-D"], ["slurmd", "-D", "-N", "n1"], ["slurmd", "-D", "-N", "n2"]):
            said = daemons.enter_context((tmp_path / f"{name}{arguments[-1]}.txt").open("w"))
            daemon = subprocess.Popen([name, *arguments], env=environment, stdout=said, stderr=said)
            daemons.callback(daemon.wait)
            daemons.callback(daemon.terminate)
        yield environment
        subprocess.run(["scancel", "--full", "--user=root"], env=environment, check=False)
        until(lambda: not queue(environment), seconds=60)


def free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def queue(environment: dict[str, str]) -> str:
    command = ["squeue", "--noheader"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def until(is_reached, *, seconds: float) -> None:
    for _ in range(int(seconds / 0.5)):
        if is_reached():
            return
        time.sleep(0.5)
    raise AssertionError("it did not happen in time")


def submit(slurm: dict[str, str], folder: Path, data: Path, *, nodes: int, trials: int) -> str:
    """The number of a job that searches, and writes its results into the folder."""
    idle = ["sinfo", "--noheader", "--format=%D %t"]
    until(lambda: "2 idle" in subprocess.run(idle, env=slurm, capture_output=True, text=True).stdout, seconds=60)
    job = ["sbatch", "--parsable", f"--nodes={nodes}", "--cpus-per-task=1", "--gpus-per-node=0", "--output=said.txt"]
    search = f"--data {data} --storage {folder}/results --name run --trials {trials} --max-epochs 2 --confirm 0"
    search += " --scheduler none --set effective_batch=8 --set pyramid_channels=16 --set backbone=small"
    command = [*job, str(ROOT / "deploy/slurm.sh"), *search.split()]
    return subprocess.run(command, cwd=folder, env=slurm, check=True, capture_output=True, text=True).stdout.strip()


def test_a_search_runs_on_two_nodes(slurm, tmp_path, disc_folder):
    submit(slurm, tmp_path, disc_folder, nodes=2, trials=2)
    until(lambda: not queue(slurm), seconds=480)
    said = (tmp_path / "said.txt").read_text()
    folder = tmp_path / "results/moe/run"
    assert (folder / "settings.json").is_file(), said
    record = read_search(folder)
    assert record.is_finished, said
    assert record.settings.resources.concurrent == 2, said
    assert not ray_folder(said).exists()


def await_result(folder: Path) -> None:
    trials = folder / "trials.jsonl"
    until(lambda: trials.is_file() and '"event": "result"' in trials.read_text(), seconds=300)


def ray_folder(said: str) -> Path:
    (folder,) = set(re.findall(r"/tmp/ray-\w{6}\b", said))
    return Path(folder)


def test_a_plain_scancel_leaves_no_folder_of_ray_behind_and_the_search_can_be_continued(slurm, tmp_path, disc_folder):
    job = submit(slurm, tmp_path, disc_folder, nodes=2, trials=100)
    folder = tmp_path / "results/moe/run"
    await_result(folder)
    left = ray_folder((tmp_path / "said.txt").read_text())
    assert left.is_dir()
    subprocess.run(["scancel", job], env=slurm, check=True)
    until(lambda: not queue(slurm), seconds=120)
    assert not left.exists(), (tmp_path / "said.txt").read_text()
    with lock_folder(folder):
        assert read_search(folder).unfinished


def test_a_warning_of_slurm_ends_the_search_alone_and_the_job_has_its_status(slurm, tmp_path, disc_folder):
    job = submit(slurm, tmp_path, disc_folder, nodes=1, trials=100)
    folder = tmp_path / "results/moe/run"
    await_result(folder)
    subprocess.run(["scancel", "--batch", "--signal=TERM", job], env=slurm, check=True)
    until(lambda: not queue(slurm), seconds=120)
    said = (tmp_path / "said.txt").read_text()
    assert "--resume" in said, said
    assert "is gone" not in said, said
    assert not read_search(folder).is_finished
    shown = subprocess.run(["scontrol", "show", "job", job], env=slurm, capture_output=True, text=True, check=True)
    assert "ExitCode=130:0" in shown.stdout, shown.stdout
