"""Nodes of a Ray cluster as processes of this machine; what a node must not see is hidden by a mount of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

_PROBE = os.name == "posix" and subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
RAY = str(Path(sys.executable).with_name("ray"))

needs_mounts = pytest.mark.skipif(
    not _PROBE or _PROBE.returncode != 0, reason="no right to mount here, so no folder can be hidden"
)


class Node:
    """A Ray node in a working folder and a cache of its own, which does not see some folders.

    Args:
        how: options of `ray start`.
        hidden: folders that are empty for it.
        python: the interpreter of its processes.
        environment: variables beside or in place of those of this process.
    """

    def __init__(
        self,
        place: Path,
        *how: str,
        hidden: tuple[Path, ...] = (),
        python: str = sys.executable,
        environment: Mapping[str, str] = {},
    ) -> None:
        self.cache, empty = place / "cache", place / "empty"
        empty.mkdir(parents=True, exist_ok=True)
        start = [python, "-W", "ignore", RAY, "start", "--block", "--node-ip-address=127.0.0.1", *how]
        script = [*(f"mount --bind {empty} {folder}" for folder in hidden), "exec " + " ".join(start)]
        with (place / "said.txt").open("w") as said:
            self._process = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", " && ".join(script)],
                cwd=place,
                env={**os.environ, "VISION_TUNER_CACHE": str(self.cache), **environment},
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def processes(self) -> list[psutil.Process]:
        """`ray start` and what it started; none when it has ended."""
        itself = [psutil.Process(self._process.pid)] if self._process.poll() is None else []
        return itself + [child for process in itself for child in process.children(recursive=True)]

    def kill(self) -> None:
        """As a machine ends that is taken away; Ray starts some processes in sessions of their own."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()


def joining(address: str) -> list[str]:
    return [f"--address={address}", "--num-cpus=1"]


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
