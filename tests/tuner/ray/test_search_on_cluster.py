"""A search on a cluster whose nodes share little: one has no data, one sees no results folder, one comes back."""

import os
import signal
import subprocess
import sys

import pytest

from tests.tuner.end_to_end.search_process import Search, assert_no_epoch_is_repeated
from tests.tuner.ray.raylets import Node, await_nodes, joining, needs_mounts
from tuner.policy.outcomes import Outcome
from tuner.records import read_search
from tuner.selection.comparison import confirmed_runs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500), needs_mounts]


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
        nodes.append(Node(tmp_path / "without_data", *joining(head), hidden=(disc_folder,)))
        await_nodes(head, 3)
        command = search.begin(*options.split(), cwd=driver)
        command.until(lambda: len(search.events("result")) >= 1)
        assert "gets no trials: " in command.complained
        late = Node(tmp_path / "late", *joining(head), hidden=(driver / "results",))
        nodes.append(late)
        command.until(lambda: "2 trials at a time from now on" in command.complained)
        command.until(lambda: len(running_legs(search)) == 2)
        late.kill()
        command.until(lambda: "has left; its trials continue elsewhere" in command.complained)
        nodes.append(Node(tmp_path / "back", *joining(head), hidden=(driver / "results",)))
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
        nodes.append(Node(tmp_path / "without_data", *joining(head), hidden=(disc_folder,)))
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
