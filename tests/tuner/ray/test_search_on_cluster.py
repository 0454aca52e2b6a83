"""A search on a cluster whose nodes share little: one has no data, one sees no results folder, one leaves and is back.

The nodes are raylets on this machine; what a node must not see is hidden by a mount of its own.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from tests.tuner.end_to_end.search_process import QUICK_TO_MISS_A_NODE, Search, assert_no_epoch_is_repeated
from tuner.policy.outcomes import Outcome
from tuner.records import read_search
from tuner.selection.comparison import confirmed_runs

ROOT = Path(__file__).parents[3]
CAN_HIDE = os.name == "posix" and subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
RAY = str(Path(sys.executable).with_name("ray"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(500),
    pytest.mark.skipif(
        not CAN_HIDE or CAN_HIDE.returncode != 0, reason="no right to mount here, so no folder can be hidden"
    ),
]


class Node:
    """A Ray node in a working folder and a cache of its own, which does not see one folder.

    Args:
        how: options of `ray start`.
    """

    def __init__(self, place: Path, *how: str, hidden: Path | None = None) -> None:
        self.cache, empty = place / "cache", place / "empty"
        empty.mkdir(parents=True, exist_ok=True)
        start = [sys.executable, "-W", "ignore", RAY, "start", "--block", "--node-ip-address=127.0.0.1", *how]
        script = ([f"mount --bind {empty} {hidden}"] if hidden else []) + ["exec " + " ".join(start)]
        with (place / "said.txt").open("w") as said:
            self._process = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", " && ".join(script)],
                cwd=place,
                env=os.environ | {"VISION_TUNER_CACHE": str(self.cache)},
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def kill(self) -> None:
        """As a machine ends that is taken away; Ray starts some processes in sessions of their own."""
        processes = [psutil.Process(self._process.pid)] if self._process.poll() is None else []
        processes += [child for process in processes for child in process.children(recursive=True)]
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()


@pytest.fixture
def head(tmp_path, monkeypatch):
    """The address of a cluster whose first node trains nothing."""
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    for name, value in {
        **QUICK_TO_MISS_A_NODE,
        "RAY_AUTH_MODE": "disabled",
        "RAY_raylet_start_wait_time_s": "120",
        "PYTHONPATH": str(ROOT),
    }.items():
        monkeypatch.setenv(name, value)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with TemporaryDirectory(prefix="ray-") as scratch:
        how = ["--head", f"--port={port}", "--num-cpus=0", "--include-dashboard=false", f"--temp-dir={scratch}"]
        node = Node(tmp_path / "head", *how)
        try:
            yield f"127.0.0.1:{port}"
        finally:
            node.kill()


def joining(address: str) -> list[str]:
    return [f"--address={address}", "--num-cpus=1"]


def test_nodes_that_share_little_train_what_they_can(head, tmp_path, disc_folder):
    driver = tmp_path / "driver"
    (driver / "results").mkdir(parents=True)
    search = Search(driver, driver / "results/moe/run")
    nodes: list[Node] = []
    options = f"--address {head} --data {disc_folder} --storage file://{tmp_path}/store --name run"
    options += " --trials 200 --max-epochs 25 --scheduler none --confirm 0"
    options += " --set effective_batch=8 --set pyramid_channels=16 --set backbone=small"
    try:
        nodes.append(Node(tmp_path / "whole", *joining(head)))
        await_nodes(head, 2)
        nodes.append(Node(tmp_path / "without_data", *joining(head), hidden=disc_folder))
        await_nodes(head, 3)
        command = search.begin(*options.split(), cwd=driver)
        command.until(lambda: len(search.events("result")) >= 1)
        assert "gets no trials: " in command.complained
        late = Node(tmp_path / "late", *joining(head), hidden=driver / "results")
        nodes.append(late)
        command.until(lambda: "2 trials at a time from now on" in command.complained)
        command.until(lambda: len(running_legs(search)) == 2)
        late.kill()
        command.until(lambda: "has left; its trials continue elsewhere" in command.complained)
        nodes.append(Node(tmp_path / "back", *joining(head), hidden=driver / "results"))
        command.until(lambda: command.complained.count("2 trials at a time from now on") == 2)
        command.until(lambda: len(running_legs(search)) == 2)
        command.send(signal.SIGTERM)
        assert search.finish() == 130, command.complained
    finally:
        search.end()
        for node in nodes:
            node.kill()
    trials = read_search(search.folder).trials
    assert {trial.outcome for trial in trials} == {Outcome.COMPLETED, None}
    # Before Ray knows that a node is gone, it may say that a process of it can't be reached: a failure of many allowed.
    assert not [failed for failed in search.events("leg_failed") if "is unavailable" not in failed["error"]]
    assert_no_epoch_is_repeated(search)
    # The trial of the node that left went on elsewhere, from its checkpoint in the store.
    assert any(len({done.process for done in trial.results.values()}) > 1 for trial in trials)
    assert all(any((tmp_path / name / "cache").iterdir()) for name in ("whole", "late", "back"))


def test_a_measurement_and_a_confirmation_use_the_nodes_that_have_the_data(head, tmp_path, disc_folder):
    """A training on a node without data ends at once, and that node would be the first to be free for the next."""
    driver = tmp_path / "driver"
    driver.mkdir()
    search = Search(driver, driver / "results/moe/run")
    nodes: list[Node] = []
    common = f"--address {head} --data {disc_folder} --trials 2 --max-epochs 2 --scheduler none"
    common += " --set pyramid_channels=16 --set backbone=small"
    try:
        nodes.append(Node(tmp_path / "whole", *joining(head)))
        await_nodes(head, 2)
        nodes.append(Node(tmp_path / "without_data", *joining(head), hidden=disc_folder))
        await_nodes(head, 3)
        forecast = search.begin(*f"{common} --dry-run".split(), cwd=driver)
        assert search.finish() == 0, forecast.complained
        search.begin(
            *f"{common} --storage {driver}/results --name run --confirm 1 --confirm-seeds 2".split(), cwd=driver
        )
        assert search.finish() == 0, search.commands[-1].complained
        again = [sys.executable, "-m", "tuner.confirm", "results/moe/run", "--seeds", "3"]
        environment = os.environ | {"RAY_ADDRESS": head}
        confirmed = subprocess.run(again, cwd=driver, env=environment, capture_output=True, text=True, check=False)
        assert confirmed.returncode == 0, confirmed.stderr
    finally:
        search.end()
        for node in nodes:
            node.kill()
    said = [*(command.complained for command in search.commands), confirmed.stderr]
    assert all("gets no trials: " in text and "was not confirmed" not in text for text in said)
    assert len(confirmed_runs(search.folder, read_search(search.folder))) == 6


def running_legs(search: Search) -> list[str]:
    """Trials that have begun and not ended."""
    ended = {event["trial"] for event in search.events("end")}
    return [trial for trial in {event["trial"] for event in search.events("result")} if trial not in ended]


def await_nodes(address: str, count: int) -> None:
    """Until so many nodes have joined."""
    listing = (
        "import ray, sys, time\n"
        "ray.init(sys.argv[1], log_to_driver=False)\n"
        "while sum(node['Alive'] for node in ray.nodes()) < int(sys.argv[2]): time.sleep(0.2)\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", listing, address, str(count)]
    for _ in range(10):
        # Until the head listens it fails at once.
        if subprocess.run(command, capture_output=True, timeout=200, check=False).returncode == 0:
            return
        time.sleep(1)
    raise AssertionError(f"the cluster has no {count} nodes")
