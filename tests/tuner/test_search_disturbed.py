"""A search that is cut off and hit, beside what it would have done with the same curves had nobody disturbed it."""

import json
import signal

import pytest

from tests.tuner.search_process import (
    QUICK_TO_MISS_A_NODE,
    Search,
    assert_only_epochs_in_flight_repeat,
    new_search,
)
from tests.tuner.undisturbed import assert_decided_as_undisturbed
from trainable.opening import open_run
from trainable.training_run import run_epochs
from tuner.export import handover_of
from tuner.outcomes import Outcome
from tuner.records import read_search
from tuner.study_mirror import load_mirror

pytestmark = pytest.mark.timeout(400)


def terminated(search: Search) -> None:
    search.commands[-1].until(lambda: len(search.events("result")) >= 2)
    search.commands[-1].send(signal.SIGTERM)
    go_on(search)


def killed_three_times(search: Search) -> None:
    """The driver where it is hardest, a trial has just been told to wait; the process of a trial; and Ray's node.

    On quick cores a search may come to its end before it notices that its node is gone.
    """
    search.commands[-1].until(lambda: len(decisions(search)) >= 2)
    search.commands[-1].send(signal.SIGKILL)
    go_on(search)
    await_results(search)
    (process,) = search.commands[-1].running_trials()
    process.kill()
    await_results(search)
    (node,) = search.commands[-1].ray_nodes()
    node.kill()
    search.finish()
    if read_search(search.folder).is_unfinished:
        search.begin("--resume", str(search.folder))


def await_results(search: Search) -> None:
    known = len(search.events("result"))
    search.commands[-1].until(lambda: len(search.events("result")) >= known + 2)


def go_on(search: Search) -> None:
    search.finish()
    search.begin("--resume", str(search.folder))


def decisions(search: Search) -> list[dict]:
    path = search.folder / "decisions.jsonl"
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]] if path.exists() else []


DISTURBED = {
    "asha": (terminated, {"trials": 3, "epochs": 12}),
    "promote": (killed_three_times, {"trials": 4, "epochs": 12}),
}


@pytest.fixture(scope="module", params=DISTURBED)
def disturbed(request, tmp_path_factory, disc_folder):
    disturb, size = DISTURBED[request.param]
    place = tmp_path_factory.mktemp("disturbed")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUICK_TO_MISS_A_NODE.items():
            patch.setenv(name, value)
        search = new_search(place, disc_folder, **size, lanes=1, policy=request.param)
        try:
            disturb(search)
            search.finish()
            yield search
        finally:
            search.end()


def test_resumed_it_ends_with_the_trials_it_would_have_had(disturbed):
    assert disturbed.exit_codes[-1] == 0, disturbed.commands[-1].complained
    record = read_search(disturbed.folder)
    assert [trial.number for trial in record.trials] == list(range(record.settings["num_trials"]))
    assert {trial.outcome for trial in record.trials} == {Outcome.COMPLETED, Outcome.STOPPED_AT_RUNG}


def test_nothing_is_repeated_but_epochs_in_flight(disturbed):
    assert_only_epochs_in_flight_repeat(disturbed)


def test_through_all_of_it_every_curve_is_the_one_of_an_undisturbed_training_to_the_bit(disturbed):
    record = read_search(disturbed.folder)
    for trial in record.trials:
        run = open_run(handover_of(record, trial, disturbed.folder), "cpu")
        expected = [result.objective for result in run_epochs(run, on_epoch=lambda result: None)]
        assert [trial.results[epoch].objective for epoch in sorted(trial.results)] == expected[: trial.last.epoch]


def test_it_proposes_and_decides_what_an_undisturbed_search_does_with_these_curves(disturbed, tmp_path):
    assert_decided_as_undisturbed(disturbed, tmp_path)


def test_a_rung_that_a_trial_came_to_again_decided_as_before(disturbed):
    decided = {}
    for line in decisions(disturbed):
        del line["time"]
        assert decided.setdefault((line["trial"], line["epoch"], line["action"]), line) == line
    assert {line["rung"] for line in decisions(disturbed)} >= {1, 2}


def test_the_study_knows_the_end_of_every_trial(disturbed):
    copied = load_mirror(disturbed.folder / "study.journal").trials
    numbers = [trial.number for trial in read_search(disturbed.folder).trials]
    assert sorted(trial.user_attrs["number"] for trial in copied) == numbers


@pytest.mark.parametrize("disturbed", ["promote"], indirect=True)
def test_a_killed_process_costs_one_new_process(disturbed):
    assert len(disturbed.commands[1].trial_processes) == 2


@pytest.mark.parametrize("disturbed", ["asha"], indirect=True)
def test_sigterm_saves_and_says_how_to_go_on(disturbed):
    assert disturbed.exit_codes[0] == 130
    assert f"python -m tuner.search --resume {disturbed.folder}" in disturbed.commands[0].said
    assert "Traceback" not in disturbed.commands[0].complained
