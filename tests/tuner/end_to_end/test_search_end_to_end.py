"""A search as its user runs it: one command in a process of its own, left alone, interrupted, and hit."""

import json
import math
import re
import signal
from collections import Counter

import optuna
import pandas as pd
import psutil
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from search_spaces.registry import get_space
from search_spaces.space import Situation
from tests.tuner.end_to_end.search_process import Search, SearchProcess, assert_no_epoch_is_repeated, new_search
from tuner.export import main as export_command
from tuner.policy.outcomes import Outcome
from tuner.records import read_search
from tuner.results.progress import idle_gaps, precisions

pytestmark = pytest.mark.timeout(400)

NUM_TRIALS, MAX_EPOCHS = 6, 6


@pytest.fixture(scope="module")
def finished(tmp_path_factory, disc_folder):
    """A search that nothing disturbed."""
    place = tmp_path_factory.mktemp("finished")
    search = new_search(place, disc_folder, trials=NUM_TRIALS, epochs=MAX_EPOCHS, lanes=2)
    try:
        search.commands[0].until(lambda: search.events("session"))
        search.intruder = SearchProcess(place / "intruder", "--resume", str(search.folder))
        search.exit_codes.append(search.commands[0].finish())
        search.intruder.finish()
        yield search
    finally:
        search.end()
        search.intruder.end()


def copied_study(folder):
    storage = JournalStorage(JournalFileBackend(str(folder / "study.journal")))
    return optuna.load_study(study_name=folder.name, storage=storage)


def test_a_resume_beside_the_running_search_is_refused_and_takes_nothing(finished):
    assert finished.intruder.finish() == 2
    line = finished.intruder.complained.splitlines()[-1]
    owner = rf"is in use by process {finished.commands[0].pid} on \S+ since .+ \(.*search.* --data .+\)"
    assert re.search(owner, line), line


def test_it_ends_well_and_leaves_what_it_promises(finished):
    assert finished.exit_codes == [0], finished.commands[0].complained
    left = {str(path.relative_to(finished.folder)) for path in finished.folder.rglob("*") if path.is_file()}
    assert {"settings.json", "trials.jsonl", "study.journal", "results.csv", "report.md"} <= left
    assert {"best/config.json", "best/weights.pt", "best/metrics.json", "report.html"} <= left


def test_every_trial_ended_once_and_has_one_result_for_each_epoch(finished):
    starts, ends = Counter(e["trial"] for e in finished.events("start")), finished.events("end")
    assert sorted(int(trial.split("-")[0]) for trial in starts) == list(range(NUM_TRIALS))
    assert Counter(event["trial"] for event in ends) == starts
    for event in ends:
        epochs = [e["epoch"] for e in finished.events("result") if e["trial"] == event["trial"]]
        assert epochs == list(range(1, event["epoch"] + 1))


def test_one_checkpoint_of_each_trial_is_kept_and_it_is_the_last(finished):
    for trial in read_search(finished.folder).trials:
        kept = [path.name for path in (finished.folder / "checkpoints" / trial.name).iterdir()]
        assert kept == [f"epoch_{trial.last.epoch:04d}.pt"]


def test_early_stopping_stopped_some_and_let_some_complete(finished):
    outcomes = Counter(event["outcome"] for event in finished.events("end"))
    assert outcomes.keys() <= {"completed", "stopped_at_rung"}
    assert outcomes["completed"] >= 1
    assert outcomes["stopped_at_rung"] >= 1


def test_the_optuna_study_has_the_trials_under_our_numbers(finished):
    trials = copied_study(finished.folder).trials
    assert [(t.number, t.user_attrs["trial"]) for t in trials] == [
        (t.number, t.name) for t in read_search(finished.folder).trials
    ]
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.PRUNED}


def test_no_pickle_lies_in_the_results(finished):
    assert not [path for path in finished.folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".tar")]


def test_nothing_on_record_is_not_finite(finished):
    for name in ("settings.json", "trials.jsonl", "best/metrics.json", "best/config.json"):
        text = (finished.folder / name).read_text()
        assert not re.search(r"\b(NaN|Infinity|not_finite)\b", text), name
    for event in finished.events("result"):
        assert all(math.isfinite(value) for value in [event["objective"], *event["metrics"].values()])


def test_trial_0_is_the_default_configuration(finished):
    default = get_space("moe").defaults(Situation(num_train_images=14, pretrained=False))
    first = copied_study(finished.folder).trials[0]
    assert first.params == {name: default[name] for name in first.params}
    assert {"max_lr", "num_experts", "averaging", "augmentation"} <= first.params.keys()


def test_the_winner_is_the_best_of_those_measured_at_the_same_highest_epoch(finished):
    results = finished.events("result")
    top = max(event["epoch"] for event in results)
    at_top = {event["trial"]: event["objective"] for event in results if event["epoch"] == top}
    exported = json.loads((finished.folder / "best" / "metrics.json").read_text())
    assert (exported["epoch"], exported["objective"]) == (top, max(at_top.values()))
    assert exported["trial"] == max(at_top, key=at_top.get)


def test_the_winner_trained_again_without_ray_is_the_same_to_the_bit(finished, capsys):
    assert export_command([str(finished.folder), "--verify"]) == 0
    assert f"{MAX_EPOCHS} epochs compared, largest difference 0: the same to the bit" in capsys.readouterr().out


def test_piped_output_has_plain_lines_and_none_of_rays(finished):
    command = finished.commands[0]
    assert all(letter.isprintable() or letter == "\n" for letter in command.said + command.complained)
    heading = r"(images|caution|searching|budget|results|dashboard|slots): .+"
    expected = heading + r"|\[\d+:\d\d.*\] trial \d{3}-[0-9a-f]{8} .+"
    expected += r"|(Result|Validation|Test|Page|Exported) .+|(Score|Train|Predict|Explain) .+  python -m .+"
    unexpected = [line for line in command.said.splitlines() if not re.fullmatch(expected, line)]
    assert unexpected == []
    complained = re.sub(
        r"^(Loading torch and|Starting|Ending) Ray \.\.\..*$", "", command.complained, flags=re.MULTILINE
    )
    assert not re.search(r"\bray\b|optuna|warning|pid=|Traceback|^\[", complained, re.IGNORECASE | re.MULTILINE)


def test_trials_share_two_processes_instead_of_starting_one_each(finished):
    assert 1 <= len(finished.commands[0].trial_processes) <= 2
    assert NUM_TRIALS > 2
    record = read_search(finished.folder)
    assert len({result.process for trial in record.trials for result in trial.results.values()}) <= 2
    assert len(idle_gaps(record)) >= NUM_TRIALS - 2
    assert precisions(record) == {"fp32"}


def test_no_process_is_left_behind(finished):
    assert psutil.wait_procs(finished.commands[0].all_processes, timeout=20)[1] == []


def test_the_table_and_tensorboard_hold_every_trial(finished):
    assert sorted(pd.read_csv(finished.folder / "results.csv")["number"]) == list(range(NUM_TRIALS))
    for trial in read_search(finished.folder).trials:
        board = EventAccumulator(str(finished.folder / "tensorboard" / trial.name)).Reload()
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
    assert len(record.trials) == NUM_TRIALS
    assert {trial.outcome for trial in record.trials} <= {Outcome.COMPLETED, Outcome.STOPPED_AT_RUNG}
    assert record.is_finished
    assert_no_epoch_is_repeated(search)


@pytest.mark.slow
@pytest.mark.parametrize(
    "sent",
    [signal.SIGINT, signal.SIGTERM, signal.SIGHUP],
    ids=["Ctrl-C in the terminal", "SIGTERM by timeout", "the terminal is closed"],
)
def test_a_signal_to_all_its_processes_saves_and_the_resumed_search_is_complete(tmp_path, disc_folder, sent):
    search = cut_off(tmp_path, disc_folder, lambda command: command.send(sent, to_group=True))
    assert search.exit_codes[0] == 130
    assert "python -m tuner.search --resume" in search.commands[0].said
    assert not re.search("Traceback|did not complete", search.commands[0].complained)
    assert_complete(search)
    assert len(read_search(search.folder).trials) == NUM_TRIALS


@pytest.mark.slow
def test_out_of_time_it_saves_and_can_be_resumed(tmp_path, disc_folder):
    search = Search(tmp_path, tmp_path / "moe" / "run")
    options = (
        f"--data {disc_folder} --storage {tmp_path} --name run --trials 40 --max-epochs 12 --confirm 0 --time-budget 10"
    )
    try:
        search.begin(*options.split())
        assert search.finish() == 130
    finally:
        search.end()
    record = read_search(search.folder)
    assert record.is_unfinished
    assert "python -m tuner.search --resume" in search.commands[0].said
    assert record.elapsed >= 10


@pytest.mark.slow
def test_ended_while_it_confirms_it_has_its_report_and_the_resumed_search_confirms_the_rest(tmp_path, disc_folder):
    search = new_search(tmp_path, disc_folder, trials=2, epochs=12, lanes=1, scheduler="none", confirm=1)
    confirmed = search.folder / "confirm.jsonl"
    try:
        search.commands[-1].until(lambda: confirmed.exists() and confirmed.read_text().endswith("\n"))
        before = confirmed.read_text()
        search.commands[-1].send(signal.SIGTERM)
        assert search.finish() == 130
        assert "Page  " in search.commands[0].said
        search.begin("--resume", str(search.folder))
        assert search.finish() == 0
    finally:
        search.end()
    assert confirmed.read_text().startswith(before)
    runs = [json.loads(line) for line in confirmed.read_text().splitlines()]
    assert Counter((run["trial"], run["seed"]) for run in runs) == {
        (trial, 1000 + seed): 1 for trial in {run["trial"] for run in runs} for seed in range(3)
    }


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["asha", "asha-stopping", "none"])
def test_a_search_that_is_over_is_extended_and_knows_what_it_found(tmp_path, disc_folder, scheduler):
    search = Search(tmp_path, tmp_path / "moe" / "run")
    options = f"--data {disc_folder} --storage {tmp_path} --name run --trials 4 --max-epochs 4 --confirm 0"
    try:
        search.begin(
            *options.split(), "--scheduler", scheduler, "--set", "pyramid_channels=16", "--set", "backbone=small"
        )
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
    assert [trial.number for trial in copied_study(search.folder).trials] == list(range(7))
