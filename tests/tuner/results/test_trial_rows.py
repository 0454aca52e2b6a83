"""The table of all trials."""

import math
from dataclasses import replace

import pytest

from tuner.importance.measure import measure_importance
from tuner.policy.outcomes import Outcome
from tuner.records import read_search, trial_name
from tuner.results.best_so_far import measured_in_order
from tuner.results.differences import Difference, differences
from tuner.results.trial_rows import LONGEST_DETAIL, reason_of, trial_row

LONGEST = 6


@pytest.fixture(scope="module")
def search(finished_folder):
    return read_search(finished_folder)


def test_the_row_of_a_trial_has_its_recorded_values(search):
    for trial in search.trials:
        row = trial_row(search, trial, None)
        values = [result.objective for result in trial.results.values()]
        assert (row.last, row.best) == (trial.last.objective, max(values))
        assert (row.name, row.sentence) == (trial.name, trial.sentence)


def test_a_reason_is_a_few_words_and_tells_the_endings_apart(search):
    reasons = {reason_of(search, trial) for trial in search.trials}
    assert reasons == {"completed 12 epochs", "stopped at rung 1", "stopped at rung 2", "diverged in epoch 2"}


def test_the_numbers_behind_an_ending_are_in_words_of_their_own(synthetic_search):
    recorder = synthetic_search().recorder
    numbers = {"epoch": 3, "rung": 1, "rank": 11, "of": 14, "predicted": 0.64819}
    for number, (outcome, known) in enumerate(
        [(Outcome.STOPPED_AT_RUNG, numbers), (Outcome.FAILED, {"error": "no " * 100}), (Outcome.COMPLETED, {})]
    ):
        name = trial_name(number, {"number": number})
        recorder.start(name, params={"number": number}, answers={})
        recorder.result(name, epoch=3, objective=0.5, metrics={}, seconds=1.0)
        recorder.end(name, outcome, numbers=known, epoch=3)
    record = recorder.record
    stopped, failed, completed = (trial_row(record, trial, None).details for trial in record.trials)
    assert stopped == "rank 11 of 14, predicted 0.648"
    assert len(failed) <= LONGEST_DETAIL
    assert completed == ""


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_has_a_reason_of_few_words_even_without_its_numbers(synthetic_search, outcome):
    recorder = synthetic_search().recorder
    recorder.start(trial_name(0, {}), params={}, answers={})
    recorder.result(trial_name(0, {}), epoch=1, objective=0.5, metrics={}, seconds=1.0)
    recorder.end(trial_name(0, {}), outcome, numbers={}, epoch=1)
    reason = reason_of(recorder.record, recorder.record.trials[0])
    assert 0 < len(reason.split()) <= LONGEST
    assert "{" not in reason


def test_differences_are_those_of_the_parameters_the_most_important_first(search):
    importance = measure_importance(search)
    found = differences(search, search.leader, importance)
    default, own = search.default_trial.params, search.leader.params
    assert {one.parameter for one in found} == {
        name for name in {**default, **own} if default.get(name) != own.get(name)
    }
    shares = [one.share or 0.0 for one in found]
    assert shares == sorted(shares, reverse=True)
    assert differences(search, search.default_trial, importance) == []


def test_a_difference_in_the_fourth_digit_is_one_and_is_seen(search):
    default = search.default_trial
    close = replace(default, params=default.params | {"max_lr": default.params["max_lr"] * 1.0001})
    (found,) = differences(search, close, None)
    assert (float(found.value), float(found.default)) == (close.params["max_lr"], default.params["max_lr"])


def test_a_difference_says_what_its_parameter_means_unless_it_is_the_users_own():
    max_lr, own = (Difference(name, "1", "2", None) for name in ("max_lr", "my_rate"))
    assert (max_lr.meaning, own.meaning) == ("peak learning rate", "")


def test_where_importance_is_not_known_the_largest_difference_is_first(search):
    default, own = search.default_trial.params, search.leader.params
    found = [one.parameter for one in differences(search, search.leader, None)]
    ratios = [abs(math.log(own[name] / default[name])) for name in found if name in ("max_lr", "weight_decay")]
    assert len(ratios) == 2
    assert ratios == sorted(ratios, reverse=True)


def test_trials_are_measured_in_order_with_the_epochs_trained_until_then(search):
    measured = measured_in_order(search)
    assert [one.time for one in measured] == sorted(one.time for one in measured)
    assert {one.trial.name for one in measured} == {trial.name for trial in search.measured_at(12)}
    assert measured[-1].epochs <= sum(len(trial.results) for trial in search.trials)
    ends = [result.time for trial in search.trials for result in trial.results.values()]
    assert measured[0].epochs == len([end for end in ends if end <= measured[0].time])
