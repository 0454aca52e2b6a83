import pytest

from tuner.policy.outcomes import Outcome, describe


def test_only_what_the_configuration_is_to_blame_for_counts_as_bad():
    bad = {outcome for outcome in Outcome if outcome.counts_as_bad}
    assert bad == {Outcome.DIVERGED, Outcome.OUT_OF_MEMORY, Outcome.OVER_LIMIT, Outcome.EXPERTS_COLLAPSED}
    assert {outcome for outcome in Outcome if not outcome.may_win} == bad | {Outcome.FAILED}


@pytest.mark.parametrize(
    ("outcome", "numbers", "sentence"),
    [
        (
            Outcome.STOPPED_AT_RUNG,
            {"rung": 3, "epoch": 6, "value": 0.612, "cutoff": 0.655, "rank": 7, "of": 9},
            "stopped at epoch 6 (rung 3): 0.612 misses the cutoff 0.655, rank 7 of 9",
        ),
        (
            Outcome.STOPPED_AT_RUNG,
            {"rung": 1, "epoch": 2, "rank": 4, "of": 5, "one_in": 2, "predicted": 0.61, "short_of": "disk"},
            "stopped at epoch 2 (rung 1): not promoted (the rung keeps 1 in 2 by predicted final value, its own 0.61), "
            "rank 4 of 5; no disk space for its checkpoint",
        ),
        (
            Outcome.DIVERGED,
            {"epoch": 4, "step": 70, "term": "mask", "value": "nan"},
            "diverged in epoch 4 at step 70: mask was nan",
        ),
        (Outcome.FAILED, {"error": "disk full"}, "failed: disk full"),
        (Outcome.COMPLETED, {"epoch": 12, "objective": 0.8125}, "completed 12 epochs with 0.8125"),
    ],
)
def test_the_sentence_says_the_numbers(outcome, numbers, sentence):
    assert describe(outcome, numbers) == sentence


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_a_sentence_even_without_numbers(outcome):
    assert describe(outcome, {}) in {"stopped", str(outcome).replace("_", " ")}
