"""Optimizers of other projects in our simulator: the pipe, what their answers mean, and their libraries."""

import json
import re
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.replay.__main__ import RUNS, main
from benchmarks.replay.loop import ReplayedSearch
from benchmarks.replay.peer_process.budgeted import BudgetedPeer
from benchmarks.replay.peer_process.interface import PeerSetting
from benchmarks.replay.peer_process.policy import PeerPolicy, peer_policy
from benchmarks.replay.peer_process.process import MODULES, PYTHON, PeerError, PeerProcess
from benchmarks.replay.peer_process.space import DescribedSpace
from benchmarks.replay.policies import Setting
from benchmarks.replay.problems import Curve, Problem
from benchmarks.replay.run import Job, run_job
from benchmarks.replay.synthetic import SyntheticProblem
from tests.benchmarks.replay.stand_in_peer import CURE, FAILURES

STAND_IN = "tests.benchmarks.replay.stand_in_peer"


class Line(Problem):
    """A trial `x` always has the value x; one below .1 diverges in its second epoch."""

    name, mode, max_epochs = "line", "max", 4

    def space(self, trial):
        return {"x": trial.suggest_float("x", 0.0, 1.0)}

    def curve(self, params):
        values = np.full(4, params["x"])
        values[1:] = np.nan if params["x"] < 0.1 else values[1:]
        return Curve(values, np.arange(1.0, 5.0))


def setting(peer="stand-in", *, seed=0, first_rung=2):
    return PeerSetting(
        peer=peer,
        space=DescribedSpace(Line().space).parameters,
        mode="max",
        first_rung=first_rung,
        max_epochs=4,
        reduction_factor=2,
        trainings=5,
        seed=seed,
    )


def trials_of(process, *, slots=2, epochs=20):
    search = ReplayedSearch(Line(), PeerPolicy(process, DescribedSpace(Line().space), slots=slots), slots=slots)
    search.run(epochs)
    return [(trial.candidate.params["x"], trial.epoch, trial.legs) for trial in search.trials]


def test_a_peer_in_a_process_of_its_own_starts_pauses_resumes_and_stops_trials():
    with PeerProcess(setting(), module=STAND_IN, python=Path(sys.executable)) as process:
        trials = trials_of(process)
    first = sorted(trials[:3])
    assert [(epoch, legs) for _, epoch, legs in first] == [(2, 1), (2, 1), (4, 2)]
    assert {epoch for _, epoch, _ in trials[3:-2]} == {2}


@pytest.fixture
def stand_ins(monkeypatch):
    """Peers without a library that the command knows, run in this process's environment."""
    for name in (*FAILURES, "stand-in"):
        monkeypatch.setitem(MODULES, name, STAND_IN)
    monkeypatch.setattr(
        "benchmarks.replay.peer_process.policy.PeerProcess", partial(PeerProcess, python=Path(sys.executable))
    )
    monkeypatch.setattr("benchmarks.replay.__main__.PEERS_PYTHON", Path(sys.executable))
    monkeypatch.setattr(
        "benchmarks.replay.__main__.ProcessPoolExecutor", lambda processes, mp_context: ThreadPoolExecutor(processes)
    )


@pytest.mark.parametrize(
    ("peer", "what"),
    [
        ("raises", "ended with status 1: RuntimeError: no idea left"),
        ("is-killed", "was killed by signal 9: memory is short"),
        ("prints-rubbish", "answered suggest with 'Welcome \ufffd': a library prints what it likes"),
        ("hangs-up", "closed its pipe: a library prints what it likes"),
        pytest.param(
            "thinks-for-ever",
            "did not answer suggest within 5 s: a library prints what it likes",
            marks=pytest.mark.slow,
        ),
        ("resumes-nothing", "answered suggest with {'resume': 1000}: a library prints what it likes"),
        ("leaves-the-range", "(rate is -1, but must be from 0.0001 to 1): a library prints what it likes"),
    ],
)
def test_how_a_peer_failed_is_reported_with_its_last_words(peer, what, stand_ins, monkeypatch):
    if peer == "hangs-up":
        monkeypatch.setattr("benchmarks.replay.peer_process.process.PATIENCE_SECONDS", 0.1)
    if peer == "thinks-for-ever":
        monkeypatch.setattr("benchmarks.replay.peer_process.process.ANSWER_SECONDS", 5)
    with pytest.raises(PeerError, match=f"^{peer} on synthetic 1, seed 7, .*{re.escape(what)}$"):
        run_job(Job(suite="synthetic", problem="synthetic 1", policy=peer, grace_epochs=2, slots=4, seed=7))


def test_a_peer_that_proposes_nothing_at_first_has_failed():
    process = SimpleNamespace(call=lambda name, **arguments: None, error=PeerError)
    policy = PeerPolicy(process, DescribedSpace(Line().space), slots=1)
    with pytest.raises(PeerError, match="answered suggest with None"):
        policy.next_work()


@pytest.mark.slow
def test_peers_that_fail_do_not_end_the_comparison_and_are_tried_again_by_the_same_command(
    tmp_path, stand_ins, monkeypatch, capsys
):
    policies = ["raises", "is-killed", "stand-in"]
    options = ["--policies", *policies, "--tasks", "synthetic 1", "--seeds", "1", "--out", str(tmp_path)]
    assert main(options) == 1
    said = capsys.readouterr()
    assert [policy for policy in policies if f"{policy} on synthetic 1, seed 0, " in said.err] == policies[:2]
    assert said.err.endswith("2 of 3 searches are missing. Run the same command to try them again.\n")
    assert "| stand-in |" in said.out
    finished = (tmp_path / RUNS).read_text()
    monkeypatch.setenv(CURE, "")
    assert main(options) == 0
    again = (tmp_path / RUNS).read_text()
    assert again.startswith(finished)
    assert [json.loads(line)["policy"] for line in again.splitlines()] == ["stand-in", *policies[:2]]


def test_where_every_peer_fails_each_is_named_and_nothing_is_compared(tmp_path, stand_ins, capsys):
    options = ["--policies", "raises", "is-killed", "--tasks", "synthetic 1", "--seeds", "1", "--out", str(tmp_path)]
    assert main(options) == 1
    said = capsys.readouterr()
    assert "raises on synthetic 1, seed 0, ended with status 1: RuntimeError: no idea left\n" in said.err
    assert "is-killed on synthetic 1, seed 0, was killed by signal 9: memory is short\n" in said.err
    assert "there is nothing to compare" in said.out


def test_a_process_that_is_killed_ends_the_comparison_with_a_sentence(tmp_path, monkeypatch, capsys):
    class Killed(ThreadPoolExecutor):
        def submit(self, *_):
            future = Future()
            future.set_exception(BrokenProcessPool("terminated abruptly"))
            return future

    monkeypatch.setattr(
        "benchmarks.replay.__main__.ProcessPoolExecutor", lambda processes, mp_context: Killed(processes)
    )
    assert main(["--policies", "random", "--tasks", "synthetic 1", "--seeds", "1", "--out", str(tmp_path)]) == 1
    assert "was killed, perhaps for its memory. What ended is kept" in capsys.readouterr().err


class Direct:
    """A peer in this process."""

    def __init__(self, peer):
        self.peer = peer

    def call(self, name, **arguments):
        return getattr(self.peer, name)(**arguments)


class Script(BudgetedPeer):
    """Asks for these configurations and budgets in turn, and records the reported costs."""

    def __init__(self, *asked, first_rung=2):
        super().__init__(setting(first_rung=first_rung))
        self.asked, self.told = list(asked), []

    def ask(self):
        x, budget = self.asked.pop(0) if self.asked else (0.5, 1)
        return (x, budget), {"x": x}, budget

    def tell(self, job, cost, *, failed):
        self.told.append((*job, cost, failed))


def test_a_configuration_that_is_asked_for_at_more_epochs_continues_from_its_checkpoint():
    script = Script((0.3, 1.4), (0.6, 1.4), (0.6, 4.0))
    assert trials_of(Direct(script), slots=1, epochs=5) == [(0.3, 1, 1), (0.6, 4, 1)]
    assert script.told == [(0.3, 1.4, -0.3, False), (0.6, 1.4, -0.6, False), (0.6, 4.0, -0.6, False)]


def test_one_that_is_asked_for_while_it_runs_begins_once_more():
    script = Script((0.6, 4), (0.6, 4))
    assert trials_of(Direct(script), slots=2, epochs=8)[:2] == [(0.6, 4, 1), (0.6, 4, 1)]


def test_a_value_that_is_known_costs_nothing():
    script = Script((0.6, 4), (0.6, 2), (0.3, 1))
    assert trials_of(Direct(script), slots=1, epochs=5) == [(0.6, 4, 1), (0.3, 1, 1)]
    assert script.told[:2] == [(0.6, 4, -0.6, False), (0.6, 2, -0.6, False)]


def test_what_diverged_has_the_worst_cost_and_is_not_trained_again():
    script = Script((0.3, 1), (0.05, 4), (0.05, 4), (0.6, 1))
    assert trials_of(Direct(script), slots=1, epochs=4) == [(0.3, 1, 1), (0.05, 2, 1), (0.6, 1, 1)]
    assert script.told[1:3] == [(0.05, 4, -0.05, True)] * 2


def test_a_space_is_described_with_its_ranges_choices_and_conditions():
    described = {one["name"]: one for one in DescribedSpace(SyntheticProblem(0).space).parameters}
    bounds = {name: (one["type"], one["low"], one["high"], one["log"]) for name, one in described.items()}
    assert bounds == {
        "rate": ("float", 1e-4, 1.0, True),
        "width": ("int", 8, 128, True),
        "optimizer": ("choice", 0, 2, False),
        "momentum": ("float", 0.0, 0.99, False),
    }
    sgd = 2
    assert described["momentum"]["condition"] == {"on": "optimizer", "choices": [sgd]}
    assert all(one["condition"] is None for name, one in described.items() if name != "momentum")


def test_a_peer_s_values_become_a_configuration_and_those_out_of_range_are_refused():
    space = DescribedSpace(SyntheticProblem(0).space)
    values = {"rate": 1.0 + 1e-15, "width": 16, "optimizer": 0, "momentum": 0.5}
    assert space.candidate(values).answers == {"rate": 1.0, "width": 16, "optimizer": "adam"}
    assert space.candidate(values | {"optimizer": 2}).answers["momentum"] == 0.5
    with pytest.raises(ValueError, match=r"rate is 1.1, but must be from 0.0001 to 1"):
        space.candidate(values | {"rate": 1.1})


def test_without_their_environment_the_command_says_how_to_make_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("benchmarks.replay.__main__.PEERS_PYTHON", tmp_path / "none")
    assert main(["--peers", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.endswith("/none: make peers\n")


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON.exists(), reason="the peers' environment is missing: make peers")
@pytest.mark.parametrize("peer", MODULES)
def test_the_same_seed_gives_a_library_s_same_decisions_within_the_ranges(peer):
    problem, runs = SyntheticProblem(1), []
    for seed in (0, 0, 1):
        with peer_policy(peer, Setting(problem=problem, slots=2, seed=seed, grace_epochs=3), trainings=3) as policy:
            search = ReplayedSearch(problem, policy, slots=2)
            search.run(3 * problem.max_epochs)
        runs.append([(trial.candidate.answers, trial.epoch, trial.legs) for trial in search.trials])
    assert runs[0] == runs[1] != runs[2]
    for answers, *_ in runs[0] + runs[2]:
        assert 1e-4 <= answers["rate"] <= 1.0
        assert 8 <= answers["width"] <= 128
        assert answers.keys() == {"rate", "width", "optimizer"} | ({"momentum"} & answers.keys())
        assert ("momentum" in answers) is (answers["optimizer"] == "sgd")
