"""Worked by hand, and invariants over random sequences."""

import math
import random

import pytest

from tuner.policy.outcomes import Outcome
from tuner.policy.promotion_rungs import PromotionRungs


def promotion_rungs(factor=3):
    return PromotionRungs([1, 3], max_epochs=9, reduction_factor=factor)


def arrive(rungs, trial, value, epoch=1):
    rungs.start(trial)
    assert rungs.report(trial, epoch=epoch, value=value)


def test_a_trial_waits_at_a_rung_and_not_before():
    rungs = PromotionRungs([2], max_epochs=4, reduction_factor=2)
    rungs.start("a")
    assert not rungs.report("a", epoch=1, value=0.5)
    assert rungs.report("a", epoch=2, value=0.6)
    assert (dict(rungs.running), dict(rungs.paused)) == ({}, {"a": 2})
    assert rungs.values[2] == {"a": 0.6}


def test_a_trial_that_comes_back_behind_its_rung_waits_there_with_what_it_has():
    rungs = promotion_rungs()
    rungs.start("a")
    assert rungs.report("a", epoch=2, value=0.6)
    assert (rungs.paused, rungs.values[1]) == ({"a": 1}, {"a": 0.6})


def test_one_in_three_may_be_promoted():
    rungs = promotion_rungs()
    for number in range(5):
        assert list(rungs.promotable()) == ([["t0", "t1", "t2"]] if number == 3 else [])
        arrive(rungs, f"t{number}", float(number))
        if number == 3:
            rungs.promote("t1")
    arrive(rungs, "t5", 0.0)
    assert list(rungs.promotable()) == [["t0", "t2", "t3", "t4", "t5"]]
    rungs.promote("t3")
    assert list(rungs.promotable()) == []
    assert rungs.running == {"t1": 3, "t3": 3}


def test_higher_rungs_come_first_and_those_left_behind_stay_eligible():
    rungs = promotion_rungs()
    for number in range(9):
        arrive(rungs, f"t{number}", float(number))
    for trial in ("t6", "t7", "t8"):
        rungs.promote(trial)
        rungs.report(trial, epoch=3, value=5.0)
    assert list(rungs.promotable()) == [["t6", "t7", "t8"]]
    rungs.promote("t7")
    assert list(rungs.promotable()) == []
    for number in range(9, 12):
        arrive(rungs, f"t{number}", 0.0)
    assert list(rungs.promotable()) == [[f"t{number}" for number in (0, 1, 2, 3, 4, 5, 9, 10, 11)]]


def test_a_trial_that_went_bad_counts_at_the_rung_that_it_was_on_its_way_to():
    rungs = promotion_rungs()
    rungs.start("a")
    rungs.end_with("a", Outcome.DIVERGED, last=None)
    assert rungs.values[1] == {"a": -math.inf}
    assert (dict(rungs.running), dict(rungs.paused)) == ({}, {})


def test_it_loses_its_earlier_values():
    rungs = promotion_rungs()
    for trial in "abc":
        arrive(rungs, trial, 0.5)
    rungs.promote("a")
    rungs.end_with("a", Outcome.DIVERGED, last=None)
    assert rungs.values[1] == {"a": -math.inf, "b": 0.5, "c": 0.5}
    assert rungs.values[3] == {"a": -math.inf}


def test_a_trial_that_goes_bad_with_the_value_that_it_waits_with_loses_it():
    rungs = promotion_rungs()
    arrive(rungs, "a", 0.5)
    rungs.end_with("a", Outcome.DIVERGED, last=None)
    assert (rungs.values[1], rungs.values[3]) == ({"a": -math.inf}, {})
    assert not rungs.paused


def test_an_epoch_that_is_repeated_after_a_restore_changes_nothing():
    rungs = promotion_rungs()
    arrive(rungs, "a", 0.5)
    rungs.promote("a")
    assert not rungs.report("a", epoch=1, value=0.4)
    assert rungs.values[1] == {"a": 0.5}
    assert rungs.running == {"a": 3}


def test_the_last_promotion_goes_all_the_way():
    rungs = promotion_rungs()
    arrive(rungs, "a", 0.5)
    rungs.promote("a", to_epoch=9)
    assert not rungs.report("a", epoch=3, value=0.6)
    assert rungs.report("a", epoch=9, value=0.7)
    assert [dict(rungs.values[epoch]) for epoch in rungs.epochs] == [{"a": 0.5}, {"a": 0.6}, {"a": 0.7}]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_quotas_hold_and_each_trial_is_in_one_place(seed, factor):
    draw, rungs, ended, promoted = random.Random(seed), promotion_rungs(factor), set(), {1: 0, 3: 0}
    for number in range(300):
        choice = draw.random()
        running = list(rungs.running)
        if choice < 0.3 or not running:
            rungs.start(f"t{number}")
        elif choice < 0.8:
            trial = draw.choice(running)
            rungs.report(trial, epoch=rungs.running[trial], value=draw.random())
        elif choice < 0.85:
            ended.add(trial := draw.choice(running))
            rungs.end_with(trial, Outcome.DIVERGED, last=None)
        else:
            for waiting in rungs.promotable():
                trial = draw.choice(waiting)
                promoted[rungs.paused[trial]] += 1
                rungs.promote(trial)
                break
        assert not rungs.running.keys() & rungs.paused.keys()
        assert not ended & (rungs.running.keys() | rungs.paused.keys())
        for epoch, count in promoted.items():
            assert count <= len(rungs.values[epoch]) // factor


def test_leading_are_the_best_that_came_no_further_and_the_best_that_wait():
    rungs = promotion_rungs()
    for trial, value in (("a", 0.9), ("b", 0.8), ("c", 0.7), ("d", 0.6), ("e", 0.5), ("f", 0.4)):
        arrive(rungs, trial, value)
    rungs.end_with("b", Outcome.STOPPED_AT_RUNG, last=0.8)
    rungs.end_with("c", Outcome.STOPPED_AT_RUNG, last=0.7)
    for trial in ("a", "f"):
        rungs.promote(trial)
        assert rungs.report(trial, epoch=3, value=0.1)
    # At epoch 1 stand b, c, d and e, of which d and e wait; at epoch 3 a and f.
    assert rungs.leading(1) == {"b", "d", "a"}
    assert rungs.leading(2) == {"b", "c", "d", "e", "a", "f"}


def test_what_is_expected_of_a_trial_is_its_last_value_less_the_median_loss_of_those_that_came_to_full_length():
    rungs = promotion_rungs()
    for trial, value in (("a", 0.9), ("b", 0.8), ("c", 0.7), ("waits", 0.6)):
        arrive(rungs, trial, value)
    assert rungs.expected()["waits"] == 0.6
    for trial, value in (("a", 0.8), ("b", 0.6), ("c", -5.0)):
        rungs.promote(trial, to_epoch=rungs.epochs[-1])
        rungs.report(trial, epoch=rungs.epochs[-1], value=value)
    assert rungs.expected() == pytest.approx({"a": 0.8, "b": 0.6, "c": -5.0, "waits": 0.6 - 0.2})


def test_of_a_running_trial_its_latest_value_is_expected_less_the_loss_from_the_rung_that_it_has_passed():
    rungs = PromotionRungs((1, 3), max_epochs=9, reduction_factor=3)
    for trial, value in (("full", 0.9), ("runs", 0.5)):
        rungs.start(trial)
        rungs.report(trial, epoch=1, value=value)
    rungs.promote("runs")
    rungs.report("runs", epoch=2, value=0.7)
    assert rungs.expected()["runs"] == 0.7
    rungs.promote("full", to_epoch=9)
    rungs.report("full", epoch=9, value=0.6)
    assert rungs.expected()["runs"] == pytest.approx(0.7 - (0.9 - 0.6))
