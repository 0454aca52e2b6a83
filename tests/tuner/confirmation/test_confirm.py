"""The best and the default on several seeds and the test split, on a running Ray."""

import errno
import json
import math
import os
import re
import shutil
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from ray.exceptions import WorkerCrashedError

from trainable.loop.loop_config import LoopConfig, LoopData
from trainable.loop.loop_run import LoopRun
from trainable.run import run_epochs
from trainable.run_setup import open_run
from trainable.techniques.best_epoch import Monitor
from tuner.budget.time_left import TimeLeft
from tuner.confirm import main
from tuner.confirmation.training import Progress, Trained, _tested, confirm, log_training
from tuner.confirmation.wanted import FIRST_SEED, candidates, first_round
from tuner.ending.steps import finish
from tuner.export import exported_config_of
from tuner.ray.cluster import RunningRay, ray_running
from tuner.records import (
    CONFIRM,
    ConfirmedRun,
    ConfirmSeeds,
    Recorder,
    append_run,
    lock_folder,
    read_runs,
    read_search,
    trial_name,
)
from tuner.records.settings import read_settings, write_settings
from tuner.records.trivial import TRIVIAL, TrivialScore
from tuner.selection.comparison import read_confirmations
from tuner.selection.selected_trial import select_trial
from tuner.storage.lease import Lease


@pytest.fixture(scope="module")
def measured_folder(trained_folder, tmp_path_factory):
    """A folder with its baselines on record, so that a confirmation measures none."""
    folder = shutil.copytree(trained_folder, tmp_path_factory.mktemp("measured") / "moe" / "discs")
    TRIVIAL.write(folder, "test", TrivialScore(name="an empty mask", objective=0.4, metrics={"s_measure": 0.4}))
    return folder


@pytest.fixture
def folder(measured_folder, tmp_path):
    return shutil.copytree(measured_folder, tmp_path / "results" / "moe" / "discs")


@pytest.fixture(scope="module")
def confirmed(trained_folder, tmp_path_factory):
    """Default and winner on two seeds, on a running Ray: the folder, and what was told of each training."""
    folder, progress = shutil.copytree(trained_folder, tmp_path_factory.mktemp("confirmed") / "moe" / "discs"), []
    with ray_running(None):
        confirm(
            folder,
            top=1,
            seeds=ConfirmSeeds(first=2, last=2),
            on_run=lambda run, at: progress.append((run.number, run.seed, at.done, at.total)),
        )
    return folder, progress


@pytest.fixture
def in_this_process(monkeypatch):
    """Runs each training in this process when it is called, without Ray."""

    def run_tasks(function, calls, resources, *, name, on_wait, unfit_nodes):
        for key, arguments in calls:
            future = Future()
            future.set_result(function(*arguments))
            yield key, future

    without_ray(monkeypatch, run_tasks)


SMALL_RAY = RunningRay(dashboard="", scratch=Path())


def without_ray(monkeypatch, run_tasks):
    monkeypatch.setattr("tuner.confirmation.training.check_room", lambda *_: None)
    monkeypatch.setattr("tuner.confirmation.training.node_resources", list)
    monkeypatch.setattr("tuner.confirm.node_resources", lambda: [{"CPU": 2.0}])
    monkeypatch.setattr("tuner.confirmation.training.run_tasks", run_tasks)


def runs(folder):
    return {(run.number, run.seed): run.test for run in read_runs(folder)}


def trained(folder, number, seed):
    """The same training in this process: its run, and its objective after each epoch."""
    record = read_search(folder)
    exported = exported_config_of(record, record.trials[number], folder)
    run = open_run(replace(exported, config=replace(exported.config, seed=seed)), "cpu")
    return run, [result.objective for result in run_epochs(run, on_epoch=lambda result: None)]


def by_hand(folder, number, seed):
    return trained(folder, number, seed)[0].test()


def test_default_and_winner_are_trained_on_each_seed_and_judged_on_the_test_split_as_by_hand(confirmed):
    folder, progress = confirmed
    assert runs(folder).keys() == {(trial, FIRST_SEED + seed) for trial in (0, 1) for seed in (0, 1)}
    assert runs(folder)[1, FIRST_SEED + 1] == by_hand(folder, 1, FIRST_SEED + 1)
    assert runs(folder)[0, FIRST_SEED] == by_hand(folder, 0, FIRST_SEED)
    assert [(done, total) for *_, done, total in progress] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert {(trial, seed) for trial, seed, *_ in progress} == runs(folder).keys()


def test_what_needs_no_training_is_measured_beside_it(confirmed):
    folder, _ = confirmed
    assert TRIVIAL.read(folder).keys() == {"test"}


def test_the_validation_value_is_that_of_the_tested_weights_not_of_the_last_epoch(folder, in_this_process):
    settings = json.loads((folder / "settings.json").read_text())
    settings["base_config"]["best_epoch"] = {"monitor": settings["objective"], "monitor_mode": "min"}
    (folder / "settings.json").write_text(json.dumps(settings))
    confirm(folder, top=1, seeds=ConfirmSeeds(first=2, last=2), on_run=lambda *_: None)
    curves = {(run.number, run.seed): trained(folder, run.number, run.seed)[1] for run in read_runs(folder)}
    assert {(run.number, run.seed): run.validation for run in read_runs(folder)} == {
        training: min(curve) for training, curve in curves.items()
    }
    assert all(min(curve) < curve[-1] for curve in curves.values())


def test_only_what_is_missing_is_trained_again(folder, in_this_process):
    default = read_search(folder).default_trial.name
    append_run(folder, ConfirmedRun(trial=default, seed=FIRST_SEED, objective=0.123, test={"s_measure": 0.123}))
    progress = []
    confirm(
        folder,
        top=1,
        seeds=ConfirmSeeds(first=1, last=1),
        on_run=lambda run, at: progress.append((run.number, at.done, at.total)),
    )
    assert progress == [(1, 2, 2)]
    assert runs(folder)[0, FIRST_SEED] == {"s_measure": 0.123}
    confirm(folder, top=1, seeds=ConfirmSeeds(first=1, last=1), on_run=lambda *_: pytest.fail("trained once more"))


def test_a_training_that_diverges_counts_as_none_and_the_others_continue(folder, in_this_process, capsys):
    settings = json.loads((folder / "settings.json").read_text())
    settings["base_config"]["schedule"]["warmup_fraction"] = 0.0
    (folder / "settings.json").write_text(json.dumps(settings))
    changed = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    next(event for event in changed if event["event"] == "start")["params"]["max_lr"] = 1e30
    (folder / "trials.jsonl").write_text("".join(json.dumps(event) + "\n" for event in changed))
    confirm(folder, top=1, seeds=ConfirmSeeds(first=1, last=1), on_run=log_training)
    assert runs(folder)[0, FIRST_SEED] == {"s_measure": None}
    assert runs(folder)[1, FIRST_SEED]["s_measure"] > 0.4
    assert "default, seed 1000: diverged" in capsys.readouterr().out
    assert read_confirmations(folder, read_search(folder))[0].default_values == {}


def ended(trainings):
    """Ends calls in reverse order, without Ray, with the results in `trainings` by number of trial."""

    def run_tasks(function, calls, resources, *, name, on_wait, unfit_nodes):
        on_wait()
        for (trial, seed), _ in reversed(list(calls)):
            future, result = Future(), trainings[trial.number]
            future.set_exception(result) if isinstance(result, Exception) else future.set_result(result)
            yield (trial, seed), future

    return run_tasks


@pytest.fixture
def dying(monkeypatch):
    """The trainings of trial 1 die."""
    trainings = {0: Trained(0.6, {"s_measure": 0.5}, seconds=2.5), 1: WorkerCrashedError()}
    without_ray(monkeypatch, ended(trainings))


def test_a_training_whose_process_died_stays_missing_and_the_others_continue(folder, dying, caplog):
    confirm(folder, top=1, seeds=ConfirmSeeds(first=1, last=1), on_run=lambda *_: None)
    assert runs(folder) == {(0, FIRST_SEED): {"s_measure": 0.5}}
    assert f"trial {read_search(folder).trials[1].name}, seed 1000 was not confirmed" in caplog.text


def test_what_is_raised_while_it_waits_ends_it(folder, dying):
    def end():
        raise RuntimeError("elsewhere")

    with pytest.raises(RuntimeError, match="elsewhere"):
        confirm(folder, top=1, seeds=ConfirmSeeds(first=1, last=1), on_run=lambda *_: None, on_wait=end)
    assert not (folder / CONFIRM).exists()


def test_the_command_says_what_is_missing_and_does_not_end_well(folder, dying, monkeypatch, capsys):
    monkeypatch.setattr("tuner.confirm.ray_running", lambda *_, **__: nullcontext(SMALL_RAY))
    assert main([str(folder), "--seeds", "1"]) == 1
    name = read_search(folder).trials[1].name
    assert f"error: 1 of 2 trainings missing: trial {name}, seed 1000. Run it again." in capsys.readouterr().err


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC])
def test_a_disk_that_becomes_read_only_is_reported_with_how_to_continue(folder, dying, monkeypatch, capsys, number):
    def fail(folder, _):
        raise OSError(number, os.strerror(number), str(folder / CONFIRM))

    monkeypatch.setattr("tuner.confirm.ray_running", lambda *_, **__: nullcontext(SMALL_RAY))
    monkeypatch.setattr("tuner.confirmation.training.append_run", fail)
    assert main([str(folder), "--seeds", "1"]) == 2
    problem = (
        f"error: {folder / CONFIRM}: {os.strerror(number)}. Finished trainings are saved; fix the problem and run "
    )
    assert f"{problem}the same command again.\n" in capsys.readouterr().err


def test_one_whose_search_another_machine_continues_is_refused_and_its_copy_is_kept_up_to_date(
    folder, dying, monkeypatch, capsys, tmp_path
):
    monkeypatch.setattr("tuner.confirm.ray_running", lambda *_, **__: nullcontext(SMALL_RAY))
    store = f"file://{tmp_path}/store"
    write_settings(folder, replace(read_settings(folder), store=store))
    lease = Lease(store)
    lease.take()
    assert main([str(folder), "--seeds", "1"]) == 2
    assert f"{store} is in use by process" in capsys.readouterr().err
    assert not (folder / CONFIRM).exists()
    lease.release()
    assert main([str(folder), "--seeds", "1"]) == 1
    assert (tmp_path / "store" / CONFIRM).read_bytes() == (folder / CONFIRM).read_bytes()
    assert not (tmp_path / "store/.lease").exists()


def test_an_answer_that_changes_is_exported_and_reported_by_the_confirmation_itself(folder, dying, monkeypatch, capsys):
    finish(folder, read_search(folder))
    default, other = (trial.name for trial in read_search(folder).trials[:2])
    assert json.loads((folder / "best" / "metrics.json").read_text())["trial"] == other
    trainings = {number: Trained(value, {"s_measure": value}, seconds=1.0) for number, value in enumerate((0.9, 0.1))}
    monkeypatch.setattr("tuner.confirmation.training.run_tasks", ended(trainings))
    monkeypatch.setattr("tuner.confirm.ray_running", lambda *_, **__: nullcontext(SMALL_RAY))
    capsys.readouterr()
    assert main([str(folder), "--seeds", "2"]) == 0
    assert json.loads((folder / "best" / "metrics.json").read_text())["trial"] == default
    assert f"Trial {default} (the default) is exported" in (folder / "report.md").read_text()
    assert f"Trial {default}" in (folder / "report.html").read_text()
    assert "Result      The default is exported, no trial is better: " in capsys.readouterr().out


def test_a_number_that_is_not_finite_is_recorded_as_none(folder, dying, monkeypatch):
    training = Trained(math.inf, {"s_measure": math.nan, "mae": 0.1}, seconds=2.5)
    monkeypatch.setattr("tuner.confirmation.training.run_tasks", ended({0: training, 1: training}))
    confirm(folder, top=1, seeds=ConfirmSeeds(first=1, last=1), on_run=lambda *_: None)
    assert [(run.objective, run.validation, run.test, run.seconds) for run in read_runs(folder)] == [
        (None, None, {"s_measure": None, "mae": 0.1}, 2.5)
    ] * 2


def test_a_loop_without_a_test_value_is_confirmed_on_the_validation_split_and_warns_once(
    folder, dying, monkeypatch, caplog
):
    search = read_search(folder)
    trainings = {
        number: Trained(0.5 + number / 10, {"f1": 0.3}, seconds=1.0, unscored="train.py:SPACE returned f1.")
        for number in (0, 1)
    }
    monkeypatch.setattr("tuner.confirmation.training.run_tasks", ended(trainings))
    confirm(folder, top=1, seeds=ConfirmSeeds(first=2, last=6), on_run=log_training)
    assert caplog.text.count("the validation split decides: train.py:SPACE returned f1.") == 1
    assert len(read_runs(folder)) == 4
    assert select_trial(folder, search).choice.sentence.startswith(f"Trial {search.trials[1].name} is exported: ")


@pytest.mark.parametrize(
    ("returned", "test", "why"),
    [
        ({"test/accuracy": 0.8, "val/accuracy": 0.9}, {"accuracy": 0.8, "val/accuracy": 0.9}, None),
        (None, {}, "train.py:SPACE returned nothing after its loop; return {'test/accuracy': ...}."),
        ({"val/accuracy": 0.9}, {"val/accuracy": 0.9}, "returned val/accuracy after its loop; return {'test/accuracy'"),
        (0.7, {}, "train returned 0.7; return numbers by name"),
    ],
)
def test_what_a_loop_returns_is_its_test_value_or_why_it_has_none(returned, test, why):
    def train(params, trial):
        for _ in trial.epochs():
            trial.report({"val/accuracy": 0.5})
        return returned

    config = LoopConfig(workload="train.py:SPACE", max_epochs=1, data=LoopData())
    run = LoopRun(config, train, {}, data=None, monitor=Monitor(name="val/accuracy", mode="max"))
    run.run_epoch()
    found, unscored = _tested(run, "accuracy")
    assert found == test
    assert (why in unscored) if why else (unscored is None)


def test_what_was_trained_before_is_not_written_again(folder, dying):
    default = read_search(folder).default_trial.name
    append_run(folder, ConfirmedRun(trial=default, seed=FIRST_SEED, objective=0.1, test={"s_measure": 0.1}))
    before = (folder / CONFIRM).read_bytes()
    confirm(folder, top=1, seeds=ConfirmSeeds(first=2, last=2), on_run=lambda *_: None)
    assert (folder / CONFIRM).read_bytes().startswith(before)
    assert len(read_runs(folder)) == 2


def test_a_folder_in_use_is_refused_before_anything_is_trained(folder, dying, capsys):
    with lock_folder(folder):
        assert main([str(folder)]) == 2
    assert "is in use by process" in capsys.readouterr().err
    assert not (folder / CONFIRM).exists()


def test_a_cluster_that_does_not_answer_is_a_sentence(folder, capsys):
    assert main([str(folder), "--address", "127.0.0.1:1"]) == 2
    assert "Nothing answers at 127.0.0.1:1" in capsys.readouterr().err
    assert not (folder / CONFIRM).exists()


def test_a_missing_folder_is_a_sentence(tmp_path, capsys):
    assert main([str(tmp_path / "gone")]) == 2
    assert "holds no search" in capsys.readouterr().err
    assert not (tmp_path / "gone").exists()


def test_what_is_trained_is_announced_with_how_many_and_how_long(folder, dying, caplog):
    caplog.set_level("INFO", logger="tuner.confirmation")
    confirm(folder, top=1, seeds=ConfirmSeeds(first=2, last=2), on_run=lambda *_: None)
    assert "confirming: retraining the default and the best 1 on 2 seeds each, then scoring them" in caplog.text
    assert re.search(r"4 trainings, about \d:\d\d left", caplog.text)


def test_each_line_says_how_much_is_left_and_the_last_one_nothing(capsys):
    run = ConfirmedRun(trial="004-7682ec2b", seed=1001, objective=0.5, test={})
    left = TimeLeft(shortest=61.0, likely=61.0, longest=61.0)
    log_training(run, Progress(done=1, total=2, left=left))
    log_training(run, Progress(done=2, total=2, left=left))
    assert capsys.readouterr().out == (
        "[1/2 | about 1:01 left] trial 004-7682ec2b, seed 1001: 0.5000 on the test split\n"
        "[2/2] trial 004-7682ec2b, seed 1001: 0.5000 on the test split\n"
    )


def test_ctrl_c_keeps_what_was_trained_and_says_how_to_continue(folder, dying, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("tuner.confirm.ray_running", lambda *_, **__: nullcontext(SMALL_RAY))
    monkeypatch.setattr("tuner.ending.steps.log_training", interrupt)
    assert main([str(folder), "--seeds", "1"]) == 130
    assert runs(folder).keys() == {(0, FIRST_SEED)}
    assert "run the same command to continue" in capsys.readouterr().err


def test_no_seed_of_the_search_is_used_to_confirm_it(folder):
    record = read_search(folder)
    record.settings = replace(record.settings, seed=FIRST_SEED + 1)
    seeds = [seed for _, seed in first_round(record, 1, 3)]
    assert sorted(set(seeds)) == [FIRST_SEED, FIRST_SEED + 2, FIRST_SEED + 3]


def test_what_was_confirmed_is_what_the_report_reads(confirmed):
    folder, _ = confirmed
    (confirmation,) = read_confirmations(folder, read_search(folder))
    measured = runs(folder)
    assert confirmation.values == {seed: measured[1, seed]["s_measure"] for seed in (FIRST_SEED, FIRST_SEED + 1)}
    assert confirmation.default_values == {
        seed: measured[0, seed]["s_measure"] for seed in (FIRST_SEED, FIRST_SEED + 1)
    }


def test_the_default_comes_first_and_the_best_are_those_of_the_highest_common_epoch(synthetic_search):
    synthetic = synthetic_search(num_trials=12)
    synthetic.run()
    record = synthetic.recorder.record
    chosen = candidates(record, 3)
    assert chosen[0].number == 0
    others = [trial for trial in chosen if trial.number != 0]
    epoch = record.comparison_epoch
    reached = sorted(
        (trial.objective_at(epoch) for trial in record.measured_at(epoch) if trial.number != 0), reverse=True
    )
    assert [trial.objective_at(epoch) for trial in others] == reached[: len(others)]


def test_a_default_that_won_is_confirmed_beside_the_best_others_and_never_alone(trained_folder, tmp_path):
    recorder = Recorder.create(tmp_path / "won", read_search(trained_folder).settings)
    for number, objective in enumerate((0.9, 0.4)):
        recorder.start(trial_name(number, {}), params={}, answers={})
        recorder.result(trial_name(number, {}), epoch=1, objective=objective, metrics={}, seconds=1.0)
        if number == 0:
            assert first_round(recorder.record, 3, 3) == []
    recorder.close()
    assert [trial.number for trial in candidates(recorder.record, 1)] == [0, 1]


def test_nothing_to_confirm_is_a_sentence(tmp_path, trained_folder):
    recorder = Recorder.create(tmp_path / "empty", read_search(trained_folder).settings)
    recorder.close()
    with pytest.raises(ValueError, match="No trial has a finite objective; there is nothing to confirm"):
        candidates(recorder.record, 1)
