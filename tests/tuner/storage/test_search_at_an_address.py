"""A search with --storage s3://: its machine is lost, and another one goes on from the store.

The store is moto's server on the loopback address; `make .venv-store/bin/moto_server` installs it beside ours.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.tuner.end_to_end.search_process import Search
from trainable.remote.remote_folder import RemoteFolder
from tuner.records import read_search
from tuner.storage.fetched_search import fetch_search

ROOT = Path(__file__).parents[3]
SERVER = ROOT / ".venv-store/bin/moto_server"
SECRET = "a-word-that-must-not-be-written"
STORE = "s3://bucket/all"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(not SERVER.exists(), reason="no S3 server here: make .venv-store/bin/moto_server"),
]


def options_of(data: Path, *, trials: int, epochs: int) -> list[str]:
    """A short search with one slot."""
    budget = f"--trials {trials} --max-epochs {epochs} --confirm 0 --concurrent 1 --scheduler none"
    network = "--set effective_batch=8 --set pyramid_channels=16 --set backbone=small"
    return f"--data {data} --storage {STORE} --name run {budget} {network}".split()


class Server:
    """An S3 server whose content ends with it."""

    def __init__(self, place: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        with (place / "server.txt").open("w") as said:
            command = [str(SERVER), "-H", "127.0.0.1", "-p", str(self.port)]
            self._process = subprocess.Popen(command, stdout=said, stderr=said)

    def wait(self) -> None:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise AssertionError("the S3 server did not start")

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def server(tmp_path, monkeypatch):
    from pyarrow import fs

    server = Server(tmp_path)
    address = f"http://127.0.0.1:{server.port}"
    for name in [name for name in os.environ if name.startswith(("AWS_", "RAY_"))]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "reader",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "PYTHONPATH": str(ROOT),
    }.items():
        monkeypatch.setenv(name, value)
    server.wait()
    fs.S3FileSystem(endpoint_override=address, region="us-east-1", allow_bucket_creation=True).create_dir("bucket")
    yield server
    server.end()


def test_a_search_continues_from_the_store_when_its_machine_is_lost(server, tmp_path, disc_folder):
    store = RemoteFolder(f"{STORE}/moe/run")
    lost, other = tmp_path / "lost", tmp_path / "other"
    lost.mkdir()
    other.mkdir()
    search = Search(lost, lost / "results/moe/run")
    # Long beside the pause between two copies, however fast the machine is.
    options = options_of(disc_folder, trials=6, epochs=60)
    command = search.begin(*options, cwd=lost)
    try:
        command.until(lambda: len(search.events("result")) >= 2 and "settings.json" in store.names())
        epochs = len(search.events("result"))
        command.until(lambda: store.names().get("trials.jsonl", 0) > 0 and len(search.events("result")) >= epochs + 4)
        command.send(signal.SIGKILL)
        search.finish()
        shutil.rmtree(lost / "results")
        continued = Search(other, other / "results/moe/run")
        command = continued.begin("--resume", f"{STORE}/moe/run", cwd=other)
        assert continued.finish() == 0, command.complained
    finally:
        search.end()
    record = read_search(continued.folder)
    assert (record.is_finished, record.is_unfinished, len(record.trials)) == (True, False, 6)
    # What had been copied was not trained again.
    assert len(continued.events("session")) == 2
    results = [(event["trial"], event["epoch"]) for event in continued.events("result")]
    assert len(results) == len(set(results))
    here = {
        path.relative_to(continued.folder).as_posix(): path.stat().st_size
        for path in continued.folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }
    assert {name for name in here if not name.startswith("checkpoints/")} <= store.names().keys()
    assert (continued.folder / "best/config.json").is_file()
    assert not [path for path in other.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert fetch_search(f"{STORE}/moe/run", tmp_path / "third") == tmp_path / "third/moe/run"


def test_a_search_continues_when_the_store_stops_answering(server, tmp_path, disc_folder):
    search = Search(tmp_path, tmp_path / "results/moe/run")
    options = options_of(disc_folder, trials=2, epochs=3)
    command = search.begin(*options, cwd=tmp_path)
    try:
        command.until(lambda: len(search.events("result")) >= 1)
        server.end()
        assert search.finish() == 0, command.complained
    finally:
        search.end()
    assert not read_search(search.folder).is_unfinished
    assert "The search continues in" in command.complained
    assert "lacks the last changes" in command.complained
