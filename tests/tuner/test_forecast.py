import pytest

from tuner.forecast import Schedule, forecast


def schedule_of(**changes):
    settings = {"num_trials": 12, "slots": 3, "max_epochs": 8, "rung_epochs": (), "reduction_factor": 2}
    return Schedule(**settings | changes)


def test_without_rungs_equal_trials_take_rounds_of_all_slots():
    told = forecast(schedule_of(), [2.0])
    assert (told.wall_seconds, told.busy_seconds, told.epochs) == (4 * 8 * 2.0, 12 * 8 * 2.0, 96)
    assert told.shortest_seconds == told.longest_seconds == told.wall_seconds


def test_one_slot_that_halves_at_one_rung_saves_what_the_stopped_half_had_left():
    told = forecast(schedule_of(num_trials=400, slots=1, rung_epochs=(2,)), [1.0])
    expected = 400 * 2 + 200 * 6
    assert told.epochs == pytest.approx(expected, rel=0.06)
    assert told.wall_seconds == told.busy_seconds == told.epochs


def test_more_slots_than_trials_take_as_long_as_the_longest_trial():
    assert forecast(schedule_of(num_trials=2, slots=8), [1.0, 1.0]).wall_seconds == 8.0


def test_times_that_differ_widen_the_range_around_their_mean():
    told = forecast(schedule_of(num_trials=30), [1.0, 3.0])
    assert told.shortest_seconds < told.wall_seconds < told.longest_seconds
    assert told.wall_seconds == pytest.approx(30 * 8 * 2.0 / 3, rel=0.15)


def test_the_same_seed_tells_the_same():
    assert forecast(schedule_of(), [1.0, 3.0], seed=4) == forecast(schedule_of(), [1.0, 3.0], seed=4)
