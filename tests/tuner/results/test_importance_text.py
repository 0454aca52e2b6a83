"""The sentence on the importance of the parameters gives the true reason where it was not measured."""

import pytest

from tests.tuner.importance.test_importance import sampled, search_of
from tuner.importance.measure import measure_importance
from tuner.policy.outcomes import Outcome
from tuner.results.importance_text import importance_sentence


@pytest.mark.parametrize(
    ("num_trials", "num_diverged", "reason"),
    [
        (19, 3, "needs 20 trials at the first rung; this search has 19"),
        (25, 20, "needs a value at the first rung from 25% of 25 trials; 5 have one"),
    ],
)
def test_too_few_trials_and_too_few_values_are_told_apart(num_trials, num_diverged, reason):
    params = sampled(num_trials)
    diverged = [values["idle"] for values in params[:num_diverged]]
    search = search_of(
        params,
        lambda values: None if values["idle"] in diverged else 0.5,
        outcomes=dict.fromkeys(range(num_diverged), Outcome.DIVERGED),
    )
    importance = measure_importance(search)
    assert importance is None
    assert importance_sentence(search, importance) == f"Left out: {reason}."


def test_trials_that_are_all_alike_are_not_called_too_few():
    search = search_of([{"rate": 0.1}] * 30, lambda values: 0.5)
    assert importance_sentence(search, measure_importance(search)) == (
        "Left out: no parameter differs between the 30 trials."
    )
