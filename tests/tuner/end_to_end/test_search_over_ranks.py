"""A search whose trials are trained by two processes each, one of which is killed on the way."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import mkdtemp

import pytest

from trainable.run import run_epochs
from trainable.run_setup import open_run
from trainable.workloads.exported_config import read_exported_config
from tuner.export import main as export_command
from tuner.records import read_search

psutil = pytest.importorskip("psutil", reason="psutil comes with Ray")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

ROOT = Path(__file__).resolve().parents[3]
MAX_EPOCHS = 8


def events(folder, kind):
    path = folder / "trials.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def ranks_of(process):
    return [child for child in process.children(recursive=True) if _is_rank(child)]


def _is_rank(process) -> bool:
    try:
        return any(word.startswith("ray::_Rank") for word in process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


@pytest.fixture(scope="module")
def searched(tmp_path_factory, disc_folder):
    """Two trials of two ranks, the second rank of the first one killed after its second epoch."""
    place = tmp_path_factory.mktemp("ranks")
    options = f"--data {disc_folder} --storage {place} --name run --trials 2 --max-epochs {MAX_EPOCHS} --confirm 0"
    fixed = (
        "--scheduler none --ranks-per-trial 2 --set effective_batch=8 --set pyramid_channels=16 --set backbone=small"
    )
    command = [sys.executable, "-m", "tuner.search", *options.split(), *fixed.split()]
    folder = place / "moe" / "run"
    with (place / "said.txt").open("w") as said:
        # In a folder of its own, of a name short enough for Ray's sockets.
        scratch = Path(mkdtemp())
        environment = os.environ | {"TMPDIR": str(scratch)}
        streams = {"stdout": said, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True, **streams)
    try:
        itself = psutil.Process(process.pid)
        seen = set()
        while len(events(folder, "result")) < 2:
            assert process.poll() is None, (place / "said.txt").read_text()
            time.sleep(0.05)
        seen |= set(ranks_of(itself))
        assert len(seen) == 2
        max(seen, key=lambda rank: rank.pid).send_signal(signal.SIGKILL)
        while process.poll() is None:
            time.sleep(0.5)
        assert process.returncode == 0, (place / "said.txt").read_text()
        yield folder, seen, scratch
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        shutil.rmtree(scratch)


def test_every_trial_completes_with_each_epoch_once_though_a_rank_was_killed(searched):
    record = read_search(searched[0])
    assert [str(trial.outcome) for trial in record.trials] == ["completed", "completed"]
    assert all(sorted(trial.results) == list(range(1, MAX_EPOCHS + 1)) for trial in record.trials)


def test_the_state_of_the_killed_ranks_does_not_stay_on_the_disk(searched):
    assert not list(searched[2].rglob("*.pt"))


def test_the_curve_is_that_of_one_process_on_the_same_batch(searched):
    folder, *_ = searched
    exported = read_exported_config(folder / "best" / "config.json")
    run = open_run(exported, "cpu")
    alone = [result.objective for result in run_epochs(run, on_epoch=lambda result: None)]
    winner = read_search(folder).leader
    assert [winner.results[epoch].objective for epoch in sorted(winner.results)] == pytest.approx(alone, abs=5e-3)


def test_verify_says_that_sums_in_another_order_are_within_tolerance(searched, capsys):
    assert export_command([str(searched[0]), "--verify"]) == 0
    assert "within tolerance" in capsys.readouterr().out


def test_no_rank_is_left_behind(searched):
    assert psutil.wait_procs(searched[1], timeout=20)[1] == []
