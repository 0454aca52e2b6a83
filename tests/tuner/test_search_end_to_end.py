"""A search as its user runs it: one command in a process of its own, left alone, interrupted, and hit."""

import json
import math
import pickle
import re
import signal
from collections import Counter

import pandas as pd
import psutil
import pytest
from optuna.trial import TrialState
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tuner.extension import RAY_FOLDER
from tuner.outcomes import Outcome
from tuner.study_mirror import load_mirror

from search_spaces.registry import get_space
from search_spaces.space import Situation
from tests.tuner.search_process import Search, assert_only_epochs_in_flight_repeat, new_search
from tuner.export import main as export_command
from tuner.records import read_search
from tuner.standing import handover_gaps, precisions

pytestmark = pytest.mark.timeout(400)

NUM_TRIALS, MAX_EPOCHS = 6, 6


@pytest.fixture(scope="module")
def finished(tmp_path_factory, disc_folder):
    """A search that nothing disturbed."""
    place = tmp_path_factory.mktemp("finished")
    search = new_search(place, disc_folder, trials=NUM_TRIALS, epochs=MAX_EPOCHS, lanes=2)
    try:
        search.finish()
        yield search
    finally:
        search.end()


def test_it_ends_well_and_leaves_what_it_promises(finished):
    assert finished.exit_codes == [0], finished.commands[0].complained
    left = {str(path.relative_to(finished.folder)) for path in finished.folder.rglob("*") if path.is_file()}
    assert {"settings.json", "trials.jsonl", "decisions.jsonl", "study.journal", "results.csv", "report.md"} <= left
    assert {"best/config.json", "best/weights.pt", "best/metrics.json", "figures/learning_curves.png"} <= left


def test_every_trial_ended_once_and_has_one_result_and_one_checkpoint_for_each_epoch(finished):
    starts, ends = Counter(e["trial"] for e in finished.events("start")), finished.events("end")
    assert sorted(event["number"] for event in finished.events("start")) == list(range(NUM_TRIALS))
    assert Counter(event["trial"] for event in ends) == starts
    for event in ends:
        story = [(e["event"], e["epoch"]) for e in finished.events() if e["trial"] == event["trial"] and "epoch" in e]
        epochs = range(1, event["epoch"] + 1)
        assert story == [(kind, e) for e in epochs for kind in ("result", "checkpoint")] + [("end", event["epoch"])]


def test_one_checkpoint_of_each_trial_is_kept_and_it_is_the_last(finished):
    for trial in read_search(finished.folder).trials:
        kept = [path.relative_to(finished.folder) for path in (finished.folder / RAY_FOLDER).glob(f"{trial.trial}/*_*")]
        assert [str(path) for path in kept] == [trial.checkpoints[trial.last.epoch]]


def test_early_stopping_stopped_some_and_let_some_complete(finished):
    outcomes = Counter(event["outcome"] for event in finished.events("end"))
    assert outcomes.keys() <= {"completed", "stopped_at_rung"}
    assert outcomes["completed"] >= 1
    assert outcomes["stopped_at_rung"] >= 1


def test_no_trial_is_left_running_in_the_study_and_its_copy_has_them_all(finished):
    (state,) = (finished.folder / RAY_FOLDER).glob("searcher-state-*.pkl")
    study = pickle.loads(state.read_bytes())["study"]
    assert not study.get_trials(states=(TrialState.RUNNING,))
    copied = load_mirror(finished.folder / "study.journal").trials
    assert sorted(trial.user_attrs["number"] for trial in copied) == list(range(NUM_TRIALS))
    assert {trial.state for trial in copied} <= {TrialState.COMPLETE, TrialState.PRUNED}


def test_nothing_on_record_is_not_finite(finished):
    for name in ("settings.json", "trials.jsonl", "decisions.jsonl", "best/metrics.json", "best/config.json"):
        text = (finished.folder / name).read_text()
        assert not re.search(r"\b(NaN|Infinity|not_finite)\b", text), name
    for event in finished.events("result"):
        assert all(math.isfinite(value) for value in [event["objective"], *event["metrics"].values()])


def test_trial_0_is_the_default_configuration(finished):
    default = get_space("moe").defaults(Situation(num_train_images=14, pretrained=False))
    (first,) = [t for t in load_mirror(finished.folder / "study.journal").trials if t.user_attrs["number"] == 0]
    assert first.params == {name: default[name] for name in first.params}
    assert {"max_lr", "num_experts", "averaging", "augmentation"} <= first.params.keys()


def test_the_winner_is_the_best_of_those_measured_at_the_same_highest_epoch(finished):
    results = finished.events("result")
    top = max(event["epoch"] for event in results)
    at_top = {event["trial"]: event["objective"] for event in results if event["epoch"] == top}
    number = {event["trial"]: event["number"] for event in finished.events("start")}
    exported = json.loads((finished.folder / "best" / "metrics.json").read_text())
    assert (exported["epoch"], exported["objective"]) == (top, max(at_top.values()))
    assert exported["trial"] == number[max(at_top, key=at_top.get)]


def test_the_winner_trained_again_without_ray_is_the_same_to_the_bit(finished, capsys):
    assert export_command([str(finished.folder), "--verify"]) == 0
    assert f"{MAX_EPOCHS} epochs compared, largest difference 0: the same to the bit" in capsys.readouterr().out


def test_piped_it_says_plain_lines_and_nothing_of_rays(finished):
    command = finished.commands[0]
    assert all(letter.isprintable() or letter == "\n" for letter in command.said + command.complained)
    heading = r"(images|caution|searching|budget|results|dashboard|slots): .+"
    expected = heading + r"|\[\d+:\d\d.*\] trial \d .+|(Report|Winner|Train it) .+"
    unexpected = [line for line in command.said.splitlines() if not re.fullmatch(expected, line)]
    assert unexpected == []
    assert not re.search(r"\bray\b|optuna|warning|pid=|Traceback|^\[", command.complained, re.IGNORECASE | re.MULTILINE)


def test_trials_share_two_processes_instead_of_starting_one_each(finished):
    assert 1 <= len(finished.commands[0].trial_processes) <= 2
    assert NUM_TRIALS > 2
    record = read_search(finished.folder)
    assert len({result.process for trial in record.trials for result in trial.results.values()}) <= 2
    assert len(handover_gaps(record)) >= NUM_TRIALS - 2
    assert precisions(record) == {"fp32"}


def test_no_process_is_left_behind(finished):
    assert psutil.wait_procs(finished.commands[0].all_processes, timeout=20)[1] == []


def test_the_table_and_tensorboard_hold_every_trial(finished):
    assert sorted(pd.read_csv(finished.folder / "results.csv")["number"]) == list(range(NUM_TRIALS))
    for trial in read_search(finished.folder).trials:
        board = EventAccumulator(str(finished.folder / "tensorboard" / trial.trial)).Reload()
        curve = [(event.step, event.value) for event in board.Scalars("val/s_measure")]
        assert [step for step, _ in curve] == sorted(trial.results)
        assert curve[-1][1] == pytest.approx(trial.last.objective)
        assert "_hparams_/session_start_info" in board.PluginTagToContent("hparams")


def cut_off(place, data, end) -> Search:
    """A search in two lanes, ended by `end(command)` in the middle, and resumed until it is done."""
    search = new_search(place, data, trials=NUM_TRIALS, epochs=MAX_EPOCHS, lanes=2)
    try:
        search.commands[-1].until(lambda: len(search.events("result")) >= 5)
        end(search.commands[-1])
        search.finish()
        search.begin("--resume", str(search.folder))
        search.finish()
    finally:
        search.end()
    return search


def assert_complete(search):
    assert search.exit_codes[-1] == 0, search.commands[-1].complained
    record = read_search(search.folder)
    ended = {trial.number for trial in record.trials if trial.outcome in (Outcome.COMPLETED, Outcome.STOPPED_AT_RUNG)}
    assert ended == set(range(NUM_TRIALS))
    assert not record.is_unfinished
    assert_only_epochs_in_flight_repeat(search)


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C in the terminal", "SIGTERM by timeout"])
def test_a_signal_to_all_its_processes_saves_and_the_resumed_search_is_complete(tmp_path, disc_folder, sent):
    search = cut_off(tmp_path, disc_folder, lambda command: command.send(sent, to_group=True))
    assert search.exit_codes[0] == 130
    assert "python -m tuner.search --resume" in search.commands[0].said
    assert not re.search("Traceback|did not complete", search.commands[0].complained)
    assert_complete(search)
    assert len(read_search(search.folder).trials) == NUM_TRIALS


@pytest.mark.slow
def test_out_of_time_it_saves_and_can_be_resumed(tmp_path, disc_folder):
    search = Search(tmp_path / "moe" / "run")
    options = f"--data {disc_folder} --storage {tmp_path} --name run --trials 40 --confirm 0 --time-budget 10"
    try:
        search.begin(*options.split())
        assert search.finish() == 130
    finally:
        search.end()
    record = read_search(search.folder)
    assert record.is_unfinished
    assert "python -m tuner.search --resume" in search.commands[0].said
    assert all(trial.outcome is not None for trial in record.trials)


@pytest.mark.slow
def test_ended_while_it_confirms_it_has_its_report_and_the_resumed_search_confirms_the_rest(tmp_path, disc_folder):
    search = new_search(tmp_path, disc_folder, trials=2, epochs=12, lanes=1, policy="random", confirm=1)
    confirmed = search.folder / "confirm.json"
    try:
        search.commands[-1].until(confirmed.exists)
        before = json.loads(confirmed.read_text())["runs"]
        search.commands[-1].send(signal.SIGTERM)
        assert search.finish() == 130
        assert "Report " in search.commands[0].said
        search.begin("--resume", str(search.folder))
        assert search.finish() == 0
    finally:
        search.end()
    runs = json.loads(confirmed.read_text())["runs"]
    assert runs[: len(before)] == before
    assert Counter((run["trial"], run["seed"]) for run in runs) == {
        (trial, 1000 + seed): 1 for trial in {run["trial"] for run in runs} for seed in range(3)
    }


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["asha", "promote"])
def test_a_search_that_is_over_is_extended_and_knows_what_it_found(tmp_path, disc_folder, policy):
    search = Search(tmp_path / "moe" / "run")
    options = f"--data {disc_folder} --storage {tmp_path} --name run --trials 4 --max-epochs 4 --confirm 0"
    try:
        search.begin(*options.split(), "--policy", policy, "--set", "pyramid_channels=16")
        assert search.finish() == 0
        before = search.events()
        search.begin("--resume", str(search.folder), "--trials", "+3")
        assert search.finish() == 0, search.commands[-1].complained
    finally:
        search.end()
    assert search.events()[: len(before)] == before
    record = read_search(search.folder)
    assert [trial.number for trial in record.trials] == list(range(7))
    assert len({tuple(sorted(trial.params.items())) for trial in record.trials}) == 7
    assert not record.is_unfinished
    copied = load_mirror(search.folder / "study.journal").trials
    assert sorted(trial.user_attrs["number"] for trial in copied) == list(range(7))
