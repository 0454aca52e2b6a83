"""Which slot trained which trial when, from hand-made epochs."""

import pytest

from tuner.records import trial_name
from tuner.results.timeline import busy_share, stretches


@pytest.fixture
def epochs(synthetic_search):
    """A function that records epochs as (trial number, epoch, process, begin, end), and returns the search."""

    def record(*lines):
        now = [0.0]
        recorder = synthetic_search(num_trials=9).recorder
        recorder._clock, recorder._began = (lambda: now[0]), 0.0
        for number in sorted({number for number, *_ in lines}):
            recorder.start(trial_name(number, {}), params={}, answers={})
        for number, epoch, process, begin, end in sorted(lines, key=lambda line: line[-1]):
            name = trial_name(number, {})
            now[0] = end
            recorder.result(name, epoch=epoch, objective=0.5, metrics={}, seconds=end - begin, process=process)
        return recorder.record

    return record


def shown(search):
    return [(one.slot, one.trial[:3], one.first_epoch, one.last_epoch, one.begin, one.end) for one in stretches(search)]


def test_epochs_that_follow_one_another_are_one_stretch_and_a_pause_ends_it(epochs):
    search = epochs((0, 1, "a", 0, 2), (0, 2, "a", 2, 4), (1, 1, "a", 4, 6), (0, 3, "a", 6, 8))
    assert shown(search) == [(1, "000", 1, 2, 0, 4), (1, "001", 1, 1, 4, 6), (1, "000", 3, 3, 6, 8)]


def test_two_processes_at_a_time_are_two_slots_and_a_later_one_takes_the_free_slot(epochs):
    search = epochs((0, 1, "a", 0, 9), (1, 1, "b", 0, 3), (2, 1, "c", 4, 6))
    assert shown(search) == [(1, "000", 1, 1, 0, 9), (2, "001", 1, 1, 0, 3), (2, "002", 1, 1, 4, 6)]


def test_the_busy_share_counts_the_slots_that_were_asked_for(epochs):
    search = epochs((0, 1, "a", 0, 6), (1, 1, "b", 0, 3))
    assert search.settings.resources.concurrent == 2
    assert busy_share(search) == pytest.approx((6 + 3) / (2 * 6))


def test_before_the_first_epoch_there_is_no_share(epochs):
    assert busy_share(epochs()) is None
