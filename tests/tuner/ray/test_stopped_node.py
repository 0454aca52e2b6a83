"""A node of a cluster that is stopped until the cluster has given it up, as a machine that sleeps, and then goes on."""

import signal
from contextlib import suppress

import psutil
import pytest

from tests.tuner.end_to_end.search_process import Search, assert_no_epoch_is_repeated, title
from tests.tuner.ray.raylets import Node, await_nodes, joining, needs_mounts
from tuner.policy.outcomes import Outcome
from tuner.records import read_search

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500), needs_mounts]
NUM_TRIALS, NUM_EPOCHS = 3, 80
SPACE = f"""
import time, torch
from search_spaces import LoopSpace

def train(params, trial):
    for epoch in trial.epochs(model=torch.nn.Linear(1, 1)):
        # Twenty seconds a trial on any machine: longer than the cluster, made quick, takes to give a node up.
        time.sleep(0.25)
        trial.report({{"val/accuracy": params["lr"] * epoch}})

SPACE = LoopSpace(
    name="waiting",
    train=train,
    objective="val/accuracy",
    suggest=lambda trial: {{"lr": trial.suggest_float("lr", 0.0, 1.0)}},
    defaults={{"lr": 0.5}},
    max_epochs={NUM_EPOCHS},
    grace_epochs=1,
)
"""
GIVES_UP_SOONER = {"RAY_health_check_timeout_ms": "2000"}
"""Ten seconds by itself: a stopped process takes connections and does not answer."""


def is_raylet(process: psutil.Process) -> bool:
    return title(process).partition(" ")[0].endswith("/raylet")


def everything(process: psutil.Process) -> bool:
    return True


def send(processes: list[psutil.Process], number: int) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def has_ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("head", [GIVES_UP_SOONER], indirect=True, ids=["impatient"])
@pytest.mark.parametrize("is_stopped", [is_raylet, everything])
def test_a_suspended_node_costs_only_epochs_in_flight_and_its_ray_ends_when_it_wakes_up(head, tmp_path, is_stopped):
    (tmp_path / "waiting.py").write_text(SPACE)
    search = Search(tmp_path, tmp_path / "results/waiting/run")
    options = f"--space waiting.py:SPACE --address {head} --storage {tmp_path}/results --name run"
    options += f" --trials {NUM_TRIALS} --scheduler none --confirm 0"
    nodes: list[Node] = []
    stopped: list[psutil.Process] = []
    try:
        for name in ("awake", "asleep"):
            nodes.append(Node(tmp_path / name, *joining(head)))
            await_nodes(head, len(nodes) + 1)
        command = search.begin(*options.split(), cwd=tmp_path)
        command.until(lambda: len({event["trial"] for event in search.events("result")}) == 2)
        stopped = [process for process in nodes[1].processes() if is_stopped(process)]
        (raylet,) = (process for process in stopped if is_raylet(process))
        send(stopped, signal.SIGSTOP)
        command.until(lambda: "has left; its trials continue elsewhere" in command.complained)
        send(stopped, signal.SIGCONT)
        command.until(lambda: has_ended(raylet))
        assert search.finish() == 0, command.complained
    finally:
        send(stopped, signal.SIGCONT)
        search.end()
        for node in nodes:
            node.kill()
    assert [(trial.outcome, sorted(trial.results)) for trial in read_search(search.folder).trials] == [
        (Outcome.COMPLETED, list(range(1, NUM_EPOCHS + 1)))
    ] * NUM_TRIALS
    # Before Ray knows that a node is gone, it may say that a process of it can't be reached: a failure of many allowed.
    assert not [failed for failed in search.events("leg_failed") if "is unavailable" not in failed["error"]]
    assert_no_epoch_is_repeated(search)
