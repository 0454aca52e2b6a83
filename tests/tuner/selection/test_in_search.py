import pytest

from tests.tuner.recorded_curves import recorded
from tuner.policy.outcomes import Outcome
from tuner.selection import in_search


def test_the_winner_is_compared_with_the_default_at_the_last_epoch_that_both_reached(tmp_path):
    curves, stopped = [[0.5, 0.6], [0.4, 0.7, 0.8, 0.9]], {0: Outcome.STOPPED_AT_RUNG}
    comparison = in_search.compare_best_so_far(recorded(tmp_path, curves=curves, endings=stopped))
    assert (comparison.trial.number, comparison.epoch) == (1, 2)
    assert (comparison.value, comparison.default_value) == (0.7, 0.6)
    assert comparison.gain == pytest.approx(0.1)


def test_a_trial_is_not_the_best_for_being_ahead_of_the_running_default(tmp_path):
    comparison = in_search.compare_best_so_far(recorded(tmp_path, curves=[[0.5], [0.4, 0.6], [0.55]]))
    assert (comparison.trial.number, comparison.epoch) == (2, 1)


def test_a_lower_loss_is_a_gain(tmp_path):
    comparison = in_search.compare_best_so_far(recorded(tmp_path, curves=[[0.5], [0.4]], mode="min"))
    assert comparison.trial.number == 1
    assert comparison.gain == pytest.approx(0.1)


def test_there_is_no_comparison_without_a_measured_default(tmp_path):
    diverged = {0: Outcome.DIVERGED}
    assert in_search.compare_best_so_far(recorded(tmp_path / "a", curves=[])) is None
    search = recorded(tmp_path / "b", curves=[[], [0.4]], endings=diverged)
    assert in_search.compare_best_so_far(search) is None
