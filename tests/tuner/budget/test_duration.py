"""The simulated search, against numbers worked out by hand."""

import pytest

from tuner.budget.duration import SearchShape, Seconds, estimate_duration, simulated_policy
from tuner.policy.simulation import SimulatedSearch

ONE_SECOND = Seconds(training=1.0)


def shape_of(**changes):
    settings = {"num_trials": 12, "slots": 3, "max_epochs": 8, "rung_epochs": (), "reduction_factor": 2}
    return SearchShape(**settings | changes)


def estimated(shape, costs, *, first=None, **options):
    return estimate_duration(shape, costs, first=costs[:1] if first is None else first, **options)


def epochs_by_trial(values, **changes):
    """Last epoch of each trial on one slot, where each trial has a constant value."""
    shape = shape_of(**{"num_trials": len(values), "slots": 1, "max_epochs": 4, "rung_epochs": (1, 2)} | changes)
    search = SimulatedSearch(
        simulated_policy(shape),
        slots=1,
        max_epochs=shape.max_epochs,
        value=lambda trial: values[trial.number],
        seconds=lambda trial, begins: 1.0,
    )
    search.run()
    return [trial.epoch for trial in search.trials]


def test_without_rungs_equal_trials_take_rounds_of_all_slots():
    estimate = estimated(shape_of(), [Seconds(training=2.0)])
    assert (estimate.median.search_seconds, estimate.median.busy_seconds, estimate.median.epochs) == (
        4 * 8 * 2.0,
        12 * 8 * 2.0,
        96,
    )
    assert (
        estimate.shortest_seconds
        == estimate.longest_seconds
        == estimate.median.seconds
        == estimate.median.search_seconds
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        # Trial 1 misses the 3; 2 ties with the median of 1 and 3, and misses the 3 at the next rung; 3 misses the 2.
        ([3, 1, 2, 0], [4, 1, 2, 1]),
        ([0, 1, 2, 3], [4, 4, 4, 4]),
    ],
)
def test_stopping_rungs_stop_the_same_trials_as_in_the_search(values, expected):
    assert epochs_by_trial(values) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        # Of 0 and 1 the better goes on to 2, of all four a second one, and of these two one to 4, the best so far. That
        # is the default, so at the end the best of the others, too.
        ([3, 1, 2, 0], [4, 1, 4, 1]),
        # 1 and 3 to 2, and 3 to 4; at the end the default, too.
        ([0, 1, 2, 3], [4, 2, 1, 4]),
    ],
)
def test_promotion_sends_on_one_in_two_and_at_last_the_default(values, expected):
    assert epochs_by_trial(values, promotes=True) == expected


def test_the_default_continues_however_poor_it_is():
    assert epochs_by_trial([0, 1, 0.5, 2], max_epochs=8, rung_epochs=(2,)) == [8, 8, 8, 8]
    assert epochs_by_trial([0, 2, 1, 0], max_epochs=8, rung_epochs=(2,)) == [8, 8, 8, 2]


def test_one_slot_that_halves_at_one_rung_saves_what_the_stopped_half_had_left():
    estimate = estimated(shape_of(num_trials=400, slots=1, rung_epochs=(2,)), [ONE_SECOND], most_learned=0.0).median
    assert estimate.epochs == pytest.approx(400 * 2 + 200 * 6, rel=0.06)
    assert estimate.search_seconds == estimate.busy_seconds == estimate.epochs


def test_proposals_that_get_better_are_stopped_more_rarely_but_not_promoted_more_often():
    stopping = shape_of(num_trials=60, rung_epochs=(2, 4))
    still, learning = (estimated(stopping, [ONE_SECOND], most_learned=most) for most in (0.0, 4.0))
    assert learning.median.epochs > 1.15 * still.median.epochs
    assert learning.longest_seconds - learning.shortest_seconds > still.longest_seconds - still.shortest_seconds
    promoting = shape_of(num_trials=60, rung_epochs=(2, 4), promotes=True)
    still, learning = (estimated(promoting, [ONE_SECOND], most_learned=most) for most in (0.0, 4.0))
    assert learning.median.epochs == pytest.approx(still.median.epochs, abs=8)


def test_promotion_at_one_rung_trains_half_to_the_end_and_perhaps_the_best_predicted_and_the_default():
    estimate = estimated(shape_of(num_trials=20, slots=1, rung_epochs=(2,), promotes=True), [ONE_SECOND]).median
    assert estimate.epochs - (20 * 2 + 10 * 6) in (0, 6, 12)


def test_more_slots_than_trials_take_as_long_as_the_longest_trial():
    assert estimated(shape_of(num_trials=2, slots=8), [ONE_SECOND] * 2).median.search_seconds == 8.0


def test_times_that_differ_widen_the_range_around_their_mean():
    estimate = estimated(shape_of(num_trials=30), [ONE_SECOND, Seconds(training=3.0)])
    assert estimate.shortest_seconds < estimate.median.seconds < estimate.longest_seconds
    assert estimate.median.seconds == pytest.approx(30 * 8 * 2.0 / 3, rel=0.15)


def test_what_is_tried_first_has_its_own_times():
    """One slot, four trials of 8 epochs: two at 5 s, the others at 1 s."""
    estimate = estimated(shape_of(num_trials=4, slots=1), [ONE_SECOND], first=[Seconds(training=5.0)] * 2)
    assert estimate.median.search_seconds == 8 * (5 + 5 + 1 + 1)
    assert estimated(shape_of(num_trials=1), [ONE_SECOND], first=[Seconds(training=5.0)] * 2).median.seconds == 40.0


def test_what_a_search_is_made_of_adds_up():
    one = Seconds(build=3.0, training=2.0, validation=0.5, checkpoint=0.25)
    estimate = estimated(shape_of(num_trials=5, slots=1, max_epochs=4), [one]).median
    assert estimate.busy == Seconds(build=15.0, training=40.0, validation=10.0, checkpoint=5.0)
    assert estimate.search_seconds == estimate.busy_seconds == 70.0


def test_a_trial_is_built_again_after_a_pause_and_not_where_it_is_promoted_at_once():
    one = Seconds(build=10.0, training=1.0)
    shape = shape_of(num_trials=4, slots=1, max_epochs=2, rung_epochs=(1,), promotes=True)
    estimate = estimated(shape, [one]).median
    assert 4 * 10.0 < estimate.busy.build <= 10.0 * estimate.epochs
    assert estimate.search_seconds == estimate.busy_seconds == estimate.busy.build + estimate.epochs


def test_the_best_and_the_default_are_trained_again_over_the_slots():
    """Two trials on three seeds each: six trainings of 4 epochs, validated and tested, three per slot."""
    one = Seconds(build=1.0, training=2.0, validation=0.5, checkpoint=100.0)
    shape = shape_of(num_trials=2, slots=2, max_epochs=4, confirm=2)
    median = estimated(shape, [one], process_seconds=7.0).median
    assert median.trainings == 6
    assert median.confirm_seconds == 7.0 + 3 * (1.0 + 4 * 2.0 + 5 * 0.5)


def test_without_confirmation_nothing_is_trained_again():
    estimate = estimated(shape_of(), [ONE_SECOND], process_seconds=7.0).median
    assert (estimate.trainings, estimate.confirm_seconds) == (0, 0.0)


def test_no_more_are_trained_again_than_came_to_their_full_length_and_the_default_not_alone():
    for num_trials, trainings in ((1, 0), (2, 6), (3, 9)):
        shape = shape_of(num_trials=num_trials, confirm=3)
        assert estimated(shape, [ONE_SECOND]).median.trainings == trainings


def test_the_estimate_is_the_same_each_time():
    costs = [ONE_SECOND, Seconds(training=3.0)]
    assert estimated(shape_of(), costs) == estimated(shape_of(), costs)
