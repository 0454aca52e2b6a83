"""Which slot trained which trial when, from hand-made epochs."""

import pytest

from tuner.records import ConfirmedRun, Execution, trial_name
from tuner.records.events import Finished, SessionEnded, SessionStarted
from tuner.results.timeline import busy_share, parts_of_time, stretches, time_in_words


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
            seconds = end - begin
            measured = {"seconds": seconds, "validation_seconds": seconds / 4}
            recorder.result(
                name, epoch=epoch, objective=0.5, metrics={}, execution=Execution(process=process), **measured
            )
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


def test_the_parts_of_the_time_are_means_over_the_slots_and_add_up_to_it(epochs):
    search = epochs((0, 1, "a", 1, 5), (1, 1, "a", 6, 10), (2, 1, "b", 2, 6))
    runs = [
        ConfirmedRun(trial=search.trials[0].name, seed=seed, objective=0.5, test={}, seconds=seconds)
        for seed, seconds in ((1000, 3.0), (1001, 5.0), (1002, None))
    ]
    parts = parts_of_time(search, runs)
    expected = {
        "training": 9 / 2,
        "validation": 3 / 2,
        "between trials": 1 / 2,
        "waiting": 7 / 2,
        "confirmation": 8 / 2,
    }
    assert parts == pytest.approx(expected)
    assert sum(parts.values()) - parts["confirmation"] == pytest.approx(search.search_seconds)


def test_an_epoch_whose_validation_was_not_timed_is_training_and_the_end_of_a_search_does_not_count(synthetic_search):
    synthetic = synthetic_search()
    synthetic.run()
    recorder, seconds = synthetic.recorder, synthetic.recorder.record.search_seconds
    synthetic.now += 1000.0
    recorder.finish()
    assert recorder.record.search_seconds == seconds == pytest.approx(recorder.record.elapsed - 1000.0)
    assert "validation" not in parts_of_time(recorder.record, [])


def test_the_time_is_the_search_and_what_came_after_it(epochs):
    search = epochs((0, 1, "a", 0, 90))
    assert time_in_words(search, 0.0) == "1:30 min"
    # Confirmed by a command of its own: its trainings are all that is known.
    assert time_in_words(search, 30.0) == "2:00 min: 1:30 search, 0:30 confirmation"
    search.events.append(Finished(time=150.0))
    assert time_in_words(search, 30.0) == "2:30 min: 1:30 search, 1:00 confirmation and report"
    assert time_in_words(search, 0.0) == "2:30 min: 1:30 search, 1:00 report"


def test_of_a_search_that_was_extended_an_earlier_confirmation_is_not_waiting(epochs):
    search = epochs((0, 1, "a", 0, 90))
    confirmed = [ConfirmedRun(trial=search.trials[0].name, seed=1000, objective=0.5, test={}, seconds=60.0)]
    before = parts_of_time(search, confirmed), time_in_words(search, 30.0)
    search.apply(SessionEnded(time=90.0))
    search.apply(Finished(time=130.0))
    search.apply(SessionStarted(version="0.2", commit=None, host="here", process=1, time=90.0))
    assert (parts_of_time(search, confirmed), time_in_words(search, 30.0)) == before


def test_a_stated_time_is_beside_the_time_taken(synthetic_search):
    search = synthetic_search(duration_seconds=1015.9978).recorder.record
    assert time_in_words(search, 0.0).endswith("; 16:56 were left of --for when it started")
    search = synthetic_search("stated", stated_seconds=1200.0, duration_seconds=1015.9978).recorder.record
    assert time_in_words(search, 0.0).endswith("; 16:56 were left of --for 20:00 when it started")
