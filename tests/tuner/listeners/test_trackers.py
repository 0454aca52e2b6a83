"""Trackers get whole curves in spite of kills, and only finite values."""

import json

import pytest

from tests.tuner.conftest import recorded_settings
from tests.tuner.records.conftest import record_curve
from tuner.listeners import trackers
from tuner.listeners.trackers import TrialTrackers
from tuner.policy.outcomes import Outcome
from tuner.records import Recorder, read_search


@pytest.fixture
def server(monkeypatch):
    """Runs by identity, as a tracking server stores them."""
    runs: dict[str, dict] = {}

    class Fake:
        def __init__(self, run):
            self.run = runs.setdefault(
                run.identity, {"name": run.name, "experiment": run.experiment, "curve": {}, "opened": 0, "ended": 0}
            )
            self.run["opened"] += 1
            self.last_epoch = max(self.run["curve"], default=0)

        def log(self, epoch, metrics):
            assert epoch not in self.run["curve"]
            self.last_epoch = epoch
            self.run["curve"][epoch] = json.loads(json.dumps(dict(metrics), allow_nan=False))

        def end(self):
            self.run["ended"] += 1

    monkeypatch.setattr(trackers, "open_tracker", lambda name, run: Fake(run))
    return runs


@pytest.fixture
def folder(tmp_path):
    Recorder.create(tmp_path / "run", recorded_settings(max_epochs=6)).close()
    return tmp_path / "run"


def tracked(folder) -> Recorder:
    recorder = Recorder.resume(folder)
    recorder.listen([TrialTrackers(["fake"], folder, recorder.record)])
    return recorder


def test_each_trial_is_a_run_of_its_name_in_the_searchs_experiment_and_ends_with_it(folder, server):
    recorder = tracked(folder)
    trials = [record_curve(recorder, 0.1, 0.2), record_curve(recorder, 0.3, outcome=Outcome.COMPLETED)]
    (one, other) = server.values()
    assert [run["name"] for run in (one, other)] == trials
    assert {run["experiment"] for run in server.values()} == {"moe/spring"}
    assert one["curve"] == {1: {"val/loss": 0.9}, 2: {"val/loss": 0.8}}
    assert (one["ended"], other["ended"]) == (0, 1)
    recorder.close()
    assert (one["ended"], other["ended"]) == (1, 1)


@pytest.mark.parametrize("num_known", [0, 1, 2, 3])
def test_a_resume_logs_exactly_the_epochs_that_a_kill_kept_from_a_tracker(folder, server, num_known):
    recorder = tracked(folder)
    trial = record_curve(recorder, 0.1, 0.2, 0.3)
    recorder.close()
    (run,) = server.values()
    run["curve"] = {epoch: run["curve"][epoch] for epoch in range(1, num_known + 1)}
    resumed = tracked(folder)
    resumed.result(trial, epoch=4, objective=0.4, metrics={"val/loss": 0.6}, seconds=1.0)
    resumed.close()
    results = read_search(folder).by_name[trial].results
    assert run["curve"] == {epoch: results[epoch].metrics for epoch in (1, 2, 3, 4)}
    assert run["opened"] == run["ended"] == 2


def test_trials_that_have_ended_are_not_opened_again(folder, server):
    recorder = tracked(folder)
    record_curve(recorder, 0.1, outcome=Outcome.COMPLETED)
    recorder.close()
    tracked(folder).close()
    assert [run["opened"] for run in server.values()] == [1]


def test_values_that_are_not_finite_are_not_logged(folder, server):
    recorder = tracked(folder)
    trial = record_curve(recorder)
    metrics = {"val/loss": float("nan"), "val/s_measure": 0.5}
    recorder.result(trial, epoch=1, objective=0.5, metrics=metrics, seconds=1.0)
    recorder.close()
    assert [run["curve"] for run in server.values()] == [{1: {"val/s_measure": 0.5}}]


def test_a_run_that_a_kill_kept_open_after_its_trials_end_is_ended_by_the_next_session(folder, server):
    recorder = tracked(folder)
    trial = record_curve(recorder, 0.1)
    recorder.stop_listening()
    recorder.end(trial, Outcome.COMPLETED, numbers={}, epoch=1)
    recorder.close()
    tracked(folder).close()
    assert [(run["opened"], run["ended"]) for run in server.values()] == [(2, 2)]
    tracked(folder).close()
    assert [run["opened"] for run in server.values()] == [2]


def test_each_epoch_of_a_trial_that_starts_over_is_logged_once(folder, server):
    recorder = tracked(folder)
    trial = record_curve(recorder, 0.1, 0.2)
    for epoch, value in ((1, 0.1), (2, 0.2), (3, 0.3)):
        recorder.result(trial, epoch=epoch, objective=value, metrics={"val/loss": 1 - value}, seconds=0.5)
    recorder.close()
    (run,) = server.values()
    assert list(run["curve"]) == [1, 2, 3]


def test_in_a_renamed_folder_the_experiment_keeps_its_name(folder, server):
    recorder = tracked(folder)
    record_curve(recorder, 0.1)
    recorder.close()
    tracked(folder.rename(folder.with_name("other"))).close()
    assert {run["experiment"] for run in server.values()} == {"moe/spring"}
