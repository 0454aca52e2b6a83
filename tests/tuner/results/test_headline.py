"""The headline of a search in each of its states."""

from dataclasses import replace

import pytest

from tuner.records import read_search
from tuner.results.headline import State, Verdict, headline_of
from tuner.selection.comparison import Confirmation


@pytest.fixture(scope="module")
def search(finished_folder):
    return read_search(finished_folder)


def confirmed(search, values, default=(0.80, 0.81, 0.82)):
    return Confirmation(
        trial=search.leader.name,
        values=dict(enumerate(values)),
        default_values=dict(enumerate(default)),
        higher_is_better=True,
    )


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((0.85, 0.86, 0.87), Verdict.BETTER),
        ((0.75, 0.76, 0.77), Verdict.WORSE),
        ((0.90, 0.70, 0.87), Verdict.AHEAD),
        ((0.90, 0.70, 0.82), Verdict.BEHIND),
        ((0.90,), Verdict.AHEAD),
    ],
)
def test_a_confirmed_trial_is_judged_by_its_interval_alone(search, values, verdict):
    assert headline_of(search, search.leader, [confirmed(search, values)], State.OVER).verdict is verdict


def test_the_values_are_the_means_over_the_seeds_that_both_have(search):
    found = headline_of(search, search.leader, [confirmed(search, (0.85, 0.87))], State.OVER)
    assert (found.default_value, found.value) == (pytest.approx(0.805), pytest.approx(0.86))
    assert found.where == "on the test split"
    assert found.evidence == "0.055 better; 2 of 2 seeds better"


def test_a_trial_that_failed_where_the_default_did_not_is_not_called_better(search):
    never = confirmed(search, (0.85, 0.86, 0.87), default=(0.80, 0.81, 0.82, 0.80))
    found = headline_of(search, search.leader, [replace(never, failed=frozenset({3}))], State.OVER)
    assert found.verdict is Verdict.UNSTABLE
    assert found.evidence.endswith(f"; trial {never.trial} failed on 1 of 4 seeds")


def test_an_exported_default_is_shown_with_its_own_mean(search):
    found = headline_of(search, search.default_trial, [confirmed(search, (0.7, 0.7, 0.7))], State.OVER)
    assert (found.verdict, found.value, found.default_value) == (Verdict.DEFAULT, None, pytest.approx(0.81))


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        (State.RUNNING, Verdict.BEST_SO_FAR),
        (State.INTERRUPTED, Verdict.BEST_SO_FAR),
        (State.OVER, Verdict.NOT_CONFIRMED),
    ],
)
def test_without_a_confirmation_the_search_speaks_of_the_validation_split(search, state, verdict):
    found = headline_of(search, search.leader, [], state)
    assert (found.verdict, found.where) == (verdict, "on the validation split")
    assert found.value == search.leader.objective_at(12)
    assert found.default_value == search.default_trial.objective_at(12)
    assert "not scored on the test split" in found.evidence


def test_a_search_without_a_value_has_no_result(synthetic_search):
    found = headline_of(synthetic_search().recorder.record, None, [], State.INTERRUPTED)
    assert (found.verdict, found.trial, found.value) == (Verdict.NO_RESULT_YET, None, None)
