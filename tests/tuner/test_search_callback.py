"""What is put on record of a trial that Ray tells little about."""

import logging
import signal
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from tuner.outcomes import Outcome
from tuner.policy import Terms
from tuner.promoting import PromotingProposer
from tuner.proposer import Proposer
from tuner.recorder import Recorder
from tuner.records import read_search
from tuner.search_callback import Limits, SearchCallback, Watch

SETTINGS = {"space": "moe", "objective": "val/s_measure", "mode": "max", "num_trials": 2, "confirm": 0}


class NoView:
    def start(self) -> None:
        pass

    def update(self, search) -> None:
        pass

    def stop(self) -> None:
        pass


def space(trial):
    return {"num_experts": trial.suggest_int("num_experts", 1, 3)}


def trial_of(trial_id, params, *, error_file=None):
    return SimpleNamespace(trial_id=trial_id, config=params, last_result=None, error_file=error_file)


@pytest.fixture(autouse=True)
def ctrl_c():
    """A search that ran before in this process leaves Ray's handler behind, which swallows the first Ctrl-C."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.fixture
def proposer():
    return Proposer(space, metric="val/s_measure", mode="max", max_epochs=3, seed=0, enqueue=[{"num_experts": 2}])


@pytest.fixture
def clock():
    """Seconds that pass only when a test says so."""
    return [1000.0]


@pytest.fixture
def callback(proposer, clock, tmp_path, monkeypatch):
    monkeypatch.setattr(SearchCallback, "watch", Watch(make_view=lambda search: NoView()))
    recorder = Recorder.create(tmp_path / "run", SETTINGS, clock=lambda: clock[0])
    made = SearchCallback(recorder, proposer, objective="val/s_measure", max_epochs=3)
    made.setup()
    yield made
    recorder.close()


def test_a_trial_whose_setup_failed_is_on_record_with_its_configuration_and_its_error(callback, proposer, tmp_path):
    error = tmp_path / "error.txt"
    error.write_text("Traceback\nRuntimeError: no such device\n")
    params = proposer.suggest("a")
    callback.on_trial_error(1, [], trial_of("a", params, error_file=str(error)))
    (trial,) = read_search(tmp_path / "run").trials
    assert (trial.number, trial.params, trial.outcome) == (0, {"num_experts": 2}, Outcome.FAILED)
    assert "RuntimeError: no such device" in trial.sentence


@pytest.mark.parametrize(
    ("error", "pauses"),
    [
        ("OSError: [Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device", True),
        ("OSError: [Errno 122] Disk quota exceeded: '/tmp/tmp1/checkpoint.pt'", True),
        ("RuntimeError: no such device", False),
    ],
)
def test_a_trial_that_a_full_disk_stopped_pauses_the_search_before_it_is_lost(
    callback, tmp_path, caplog, error, pauses
):
    caplog.set_level(logging.INFO)
    (tmp_path / "error.txt").write_text(f"Failure # 1\n{error}\n")
    trial = trial_of("a", {"num_experts": 2}, error_file=str(tmp_path / "error.txt"))
    with pytest.raises(KeyboardInterrupt) if pauses else nullcontext():
        callback.on_trial_recover(1, [], trial)
    assert (f"The disk is full: {error}. Make room, and go on with --resume." in caplog.text) is pauses
    assert read_search(tmp_path / "run").trials == []


def test_an_end_that_ray_tells_again_after_a_kill_is_on_record_as_before(callback, proposer, tmp_path):
    trial = trial_of("a", proposer.suggest("a"))
    trial.last_result = {"epoch": 3, "objective": 0.5, "val/s_measure": 0.5, "done": True, "outcome": "completed"}
    for _ in range(2):
        callback.on_trial_complete(1, [], trial)
    (told,) = read_search(tmp_path / "run").trials
    assert (told.outcome, told.numbers["epoch"]) == (Outcome.COMPLETED, 3)


def test_the_best_of_a_rung_that_was_never_promoted_is_told_by_what_quota(callback, proposer, tmp_path):
    callback._recorder.record.settings["reduction_factor"] = 3
    trial = trial_of("a", proposer.suggest("a"))
    trial.last_result = {"epoch": 1, "val/s_measure": 0.5}
    callback.on_trial_start(1, [], trial)
    rung = {"epoch": 1, "rung": 1, "value": 0.5, "cutoff": None, "rank": 1, "of": 5}
    callback._recorder.decision("a", **rung, action="stop", expected=0.6)
    callback.on_trial_complete(1, [], trial)
    (told,) = read_search(tmp_path / "run").trials
    assert "rank 1 of 5 of whom the forecast chooses one in 3, never promoted: 0.6 was expected of it" in told.sentence


def test_only_failures_in_a_row_count(callback, proposer, tmp_path):
    trial = trial_of("a", proposer.suggest("a"))
    trial.last_result = {"epoch": 1}
    trial.run_metadata = SimpleNamespace(num_failures=2)
    callback.on_trial_start(1, [], trial)
    checkpoint = SimpleNamespace(path=str(tmp_path / "run" / "checkpoint_000000"))
    callback.on_checkpoint(1, [], trial, checkpoint)
    assert trial.run_metadata.num_failures == 2, "it has not gone on yet"
    callback._recorder.result("a", epoch=1, objective=0.5, metrics={}, seconds=1.0)
    callback.on_checkpoint(1, [], trial, checkpoint)
    assert trial.run_metadata.num_failures == 0


@pytest.mark.parametrize("one_waits", [True, False])
def test_a_full_budget_ends_one_that_waits_and_pauses_the_search_where_none_does(
    proposer, tmp_path, monkeypatch, one_waits
):
    watch = Watch(make_view=lambda search: NoView(), limits=Limits(disk_bytes=3))
    monkeypatch.setattr(SearchCallback, "watch", watch)
    monkeypatch.setattr(proposer, "give_up_one", lambda kept: one_waits and kept == {"a"})
    recorder = Recorder.create(tmp_path / "run", SETTINGS | {"confirm": 0})
    callback = SearchCallback(recorder, proposer, objective="val/s_measure", max_epochs=3)
    callback.setup()
    trial = trial_of("a", proposer.suggest("a"))
    trial.last_result, trial.run_metadata = {"epoch": 1}, SimpleNamespace()
    callback.on_trial_start(1, [], trial)
    recorder.result("a", epoch=1, objective=0.5, metrics={}, seconds=1.0)
    (tmp_path / "run" / "place").mkdir()
    (tmp_path / "run" / "place" / "weights").write_bytes(b"more")
    with nullcontext() if one_waits else pytest.raises(KeyboardInterrupt):
        callback.on_checkpoint(1, [], trial, SimpleNamespace(path=str(tmp_path / "run" / "place")))
    recorder.close()


def test_trials_that_the_restored_study_does_not_know_keep_their_number_or_get_the_next(callback, proposer, tmp_path):
    callback._recorder.start("lost", number=4, params={"num_experts": 1})
    for trial_id in ("lost", "never seen"):
        assert proposer.number_of(trial_id) is None
        callback.on_trial_start(1, [], trial_of(trial_id, {"num_experts": 1}))
    assert {trial.trial: trial.number for trial in read_search(tmp_path / "run").trials} == {"lost": 4, "never seen": 5}


def test_a_search_that_has_tried_all_that_its_space_holds_is_over(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(SearchCallback, "watch", Watch(make_view=lambda search: NoView()))
    terms = Terms(rung_epochs=(), max_epochs=1, reduction_factor=2, mode="max", slots=1, seed=0, num_trials=5)
    proposer = PromotingProposer(space, terms, metric="val/s_measure")
    recorder = Recorder.create(tmp_path / "run", SETTINGS | {"num_trials": 5})
    callback = SearchCallback(recorder, proposer, objective="val/s_measure", max_epochs=1)
    callback.setup()
    for name in "abc":
        trial = trial_of(name, proposer.suggest(name))
        trial.last_result = {"epoch": 1, "val/s_measure": 0.5, "done": True, "outcome": "completed"}
        assert not proposer.has_nothing_left
        proposer.on_trial_complete(name, trial.last_result)
        callback.on_trial_complete(1, [], trial)
    callback.on_experiment_end([])
    assert not read_search(tmp_path / "run").is_unfinished
    assert "5 trials were asked for, but after 3 nothing new is left to try." in caplog.text


def test_the_time_left_follows_the_budget_of_this_session(proposer, tmp_path, monkeypatch):
    Recorder.create(tmp_path / "run", SETTINGS | {"time_budget_seconds": 10.0}).close()
    recorder = Recorder.resume(tmp_path / "run")
    watch = Watch(make_view=lambda search: NoView(), limits=Limits(seconds=500.0))
    monkeypatch.setattr(SearchCallback, "watch", watch)
    SearchCallback(recorder, proposer, objective="val/s_measure", max_epochs=3).setup()
    assert recorder.record.settings["time_budget_seconds"] == 500.0
    recorder.close()


def test_the_time_since_the_last_line_counts_when_a_search_is_interrupted(callback, clock, tmp_path):
    callback.on_trial_start(1, [], trial_of("a", {"num_experts": 2}))
    clock[0] += 40.0
    callback.on_experiment_end([])
    search = read_search(tmp_path / "run")
    assert (search.elapsed, search.trials[0].outcome) == (40.0, Outcome.INTERRUPTED)


@pytest.mark.parametrize(("given", "holds"), [(None, 4_000_000), (9_000_000, 9_000_000)])
def test_a_search_keeps_its_disk_budget_over_its_sessions_until_another_is_given(
    proposer, tmp_path, monkeypatch, given, holds
):
    Recorder.create(tmp_path / "run", SETTINGS | {"disk_budget_bytes": 4_000_000}).close()
    recorder = Recorder.resume(tmp_path / "run")
    limits = Limits(disk_bytes=given)
    monkeypatch.setattr(SearchCallback, "watch", Watch(make_view=lambda search: NoView(), limits=limits))
    callback = SearchCallback(recorder, proposer, objective="val/s_measure", max_epochs=3)
    callback.setup()
    monkeypatch.setattr("tuner.disk.folder_bytes", lambda folder: holds + 1)
    recorder.start("a", number=0, params={})
    recorder.checkpoint("a", epoch=1, path="ray/a")
    callback._shelf.put(recorder.record.by_id["a"])
    assert f"more than --disk-budget {holds // 10**6} MB" in callback._shelf.shortage()
    assert read_search(tmp_path / "run").settings["disk_budget_bytes"] == holds
    recorder.close()
