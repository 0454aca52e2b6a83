"""A cluster to join."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.tuner.end_to_end.search_process import QUICK_TO_MISS_A_NODE
from tests.tuner.ray.raylets import Node, await_nodes

ROOT = Path(__file__).parents[3]


@pytest.fixture
def head(request, tmp_path, monkeypatch) -> Iterator[str]:
    """The address of a cluster whose first node trains nothing; a parameter holds further variables of its nodes."""
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    for name, value in {
        **QUICK_TO_MISS_A_NODE,
        "RAY_AUTH_MODE": "disabled",
        "RAY_raylet_start_wait_time_s": "120",
        # As in a Ray that a search starts: at Ray's own priority, trials wait for whatever else runs here.
        "RAY_worker_niceness": "0",
        "PYTHONPATH": str(ROOT),
        **getattr(request, "param", {}),
    }.items():
        monkeypatch.setenv(name, value)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with TemporaryDirectory(prefix="ray-") as scratch:
        how = ["--head", f"--port={port}", "--num-cpus=0", "--include-dashboard=false", f"--temp-dir={scratch}"]
        node = Node(tmp_path / "head", *how)
        try:
            # A node that can't reach it gives up.
            await_nodes(f"127.0.0.1:{port}", 1)
            yield f"127.0.0.1:{port}"
        finally:
            node.kill()
