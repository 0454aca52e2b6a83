import pytest

from tuner.outcomes import Outcome, describe, outcome_of


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        (None, Outcome.INTERRUPTED),
        ({"epoch": 1}, Outcome.INTERRUPTED),
        ({"epoch": 3, "objective": 0.5}, Outcome.STOPPED_AT_RUNG),
        ({"epoch": 12, "objective": 0.5}, Outcome.COMPLETED),
        ({"epoch": 3, "objective": float("nan")}, Outcome.DIVERGED),
        ({"epoch": 12, "objective": float("inf")}, Outcome.DIVERGED),
        ({"epoch": 12, "objective": 0.5, "outcome": "completed"}, Outcome.COMPLETED),
        ({"epoch": 12, "objective": float("nan"), "outcome": "completed"}, Outcome.DIVERGED),
        ({"epoch": 2, "objective": 0.0, "outcome": "out_of_memory"}, Outcome.OUT_OF_MEMORY),
        ({"epoch": 7, "objective": 0.5, "outcome": "plateaued"}, Outcome.PLATEAUED),
    ],
)
def test_the_last_result_tells_what_ended_a_trial(result, outcome):
    assert outcome_of(result, objective="objective", max_epochs=12) is outcome


def test_an_outcome_that_nobody_knows_is_an_error():
    with pytest.raises(ValueError, match="exploded"):
        outcome_of({"epoch": 1, "objective": 0.5, "outcome": "exploded"}, objective="objective", max_epochs=12)


def test_only_what_the_configuration_is_to_blame_for_counts_as_bad():
    bad = {outcome for outcome in Outcome if outcome.counts_as_bad}
    assert bad == {Outcome.DIVERGED, Outcome.OUT_OF_MEMORY, Outcome.EXPERTS_COLLAPSED}
    assert {outcome for outcome in Outcome if not outcome.may_win} == bad | {Outcome.FAILED}


@pytest.mark.parametrize(
    ("outcome", "numbers", "sentence"),
    [
        (
            Outcome.STOPPED_AT_RUNG,
            {"rung": 3, "epoch": 6, "value": 0.612, "cutoff": 0.655, "rank": 7, "of": 9},
            "stopped at rung 3 (epoch 6): 0.612 misses the cutoff 0.655, rank 7 of 9",
        ),
        (
            Outcome.STOPPED_AT_RUNG,
            {"rung": 1, "epoch": 2, "rank": 4, "of": 5, "one_in": 2, "expected": 0.61, "short_of": "disk"},
            "stopped at rung 1 (epoch 2), rank 4 of 5 of whom the forecast chooses one in 2, never promoted: 0.61 was "
            "expected of it, and the disk had no room for it to wait",
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
