"""The time left of a confirmation, against numbers worked out by hand."""

from dataclasses import replace

import pytest

from tests.tuner.conftest import recorded_settings
from tuner.confirmation.remaining import Remaining, confirmation_left
from tuner.confirmation.wanted import first_round, num_further_seeds
from tuner.records import ConfirmedRun, ConfirmSeeds, Recorder, TrialResources, append_run, trial_name

SECONDS = 10.0
"""Time of a full training: five epochs of two seconds."""


@pytest.fixture
def record(tmp_path):
    """The default and another, on two slots whose processes started at once."""
    resources = TrialResources(concurrent=2, cpus_per_trial=1.0, gpus_per_trial=0.0)
    settings = recorded_settings(num_trials=2, max_epochs=5, scheduler="none", resources=resources)
    recorder = Recorder.create(tmp_path, settings, clock=lambda: 0.0)
    for number in range(2):
        trial = trial_name(number, {"number": number})
        recorder.start(trial, params={"number": number}, answers={})
        for epoch in range(1, 6):
            recorder.result(trial, epoch=epoch, objective=0.5, metrics={}, seconds=SECONDS / 5)
    recorder.close()
    return recorder.record


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_at_first_trainings_take_what_they_took_in_the_search_and_the_start_of_a_process(record, clock):
    todo = first_round(record, 1, 3)
    assert Remaining(record, todo, clock=clock).time_left.likely == pytest.approx(3 * SECONDS)
    remaining = Remaining(record, todo, process_seconds=7.0, clock=clock)
    assert remaining.time_left.likely == pytest.approx(7.0 + 3 * SECONDS)
    clock.now += 4
    assert remaining.time_left.likely == pytest.approx(3.0 + 3 * SECONDS)


def test_the_trainings_that_have_ended_tell_the_pace_and_those_that_run_are_not_counted_twice(record, clock):
    todo = first_round(record, 1, 2)
    names = [(trial.name, seed) for trial, seed in todo]
    remaining = Remaining(record, todo, process_seconds=5.0, clock=clock)
    clock.now += 5 + 2 * SECONDS
    remaining.end(names[0])
    # Twice as slow as in the search: the second ends now, too, and two more are to come beside each other.
    assert remaining.time_left.likely == pytest.approx(2 * SECONDS)
    remaining.end(names[1])
    clock.now += SECONDS
    assert remaining.time_left.likely == pytest.approx(SECONDS)


def test_seeds_that_may_follow_make_a_range(record, clock):
    left = Remaining(record, first_round(record, 1, 3), further_seeds=3, clock=clock).time_left
    assert (left.shortest, left.longest) == (pytest.approx(3 * SECONDS), pytest.approx(6 * SECONDS))
    assert left.shortest < left.likely < left.longest


def test_another_process_counts_what_is_not_on_record(record, tmp_path):
    """One round on three seeds, without further seeds."""
    once = ConfirmSeeds(first=3, last=3)
    asked = replace(record, settings=replace(record.settings, confirm=1, confirm_seeds=once))
    assert confirmation_left(tmp_path, asked).likely == pytest.approx(3 * SECONDS)
    for trial, seed in first_round(record, 1, 2):
        append_run(tmp_path, ConfirmedRun(trial=trial.name, seed=seed, objective=0.5, validation=0.5, test={}))
    assert confirmation_left(tmp_path, asked).likely == pytest.approx(SECONDS)
    for trial, seed in first_round(record, 1, 3)[-2:]:
        append_run(tmp_path, ConfirmedRun(trial=trial.name, seed=seed, objective=0.5, validation=0.5, test={}))
    assert confirmation_left(tmp_path, asked) is None


@pytest.mark.parametrize(("batch", "further"), [((0, 1, 2), 3), ((2,), 3), ((3,), 2), ((5,), 0)])
def test_the_seeds_that_may_follow_are_those_after_the_batch(record, batch, further):
    every = first_round(record, 1, 6)
    todo = [every[2 * seed + trial] for seed in batch for trial in (0, 1)]
    assert num_further_seeds(record, todo, ConfirmSeeds(first=3, last=6)) == further
