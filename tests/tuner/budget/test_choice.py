"""Trials and epochs that fit a stated time, and the length of a full training of own data, from given timings."""

import math
import time
from dataclasses import replace

import pytest

from tests.tuner.conftest import recorded_settings
from tuner.budget.choice import (
    expected_duration,
    fit_plan,
    like_the_earlier_search,
    pilot_seconds,
)
from tuner.budget.dry_run_text import length_in_words, pilot_in_words
from tuner.budget.duration import Seconds
from tuner.budget.learning_curve import LearningCurve
from tuner.budget.measurement import Measurement
from tuner.budget.step_timing import StepTiming
from tuner.planning.opened_data import open_for_search
from tuner.planning.plan import plan_on
from tuner.records import Recorder, TrialResources
from tuner.settings import SearchSettings

TIMING = StepTiming(
    update_seconds=0.1,
    updates_per_epoch=40,
    batch_size=16,
    build_seconds=1.0,
    validation_seconds=0.5,
    peak_gib=1.0,
    device_gib=24.0,
    checkpoint_mb=1.0,
    checkpoint_seconds=0.1,
)
"""4.6 seconds an epoch."""


@pytest.fixture(scope="module")
def opened(disc_folder):
    return open_for_search(SearchSettings(data=str(disc_folder), pinned={"pyramid_channels": 8, "backbone": "small"}))


@pytest.fixture
def settings(disc_folder):
    return SearchSettings(data=str(disc_folder), pinned={"pyramid_channels": 8, "backbone": "small"})


def measured(plan, curve=None, timing=TIMING):
    return Measurement(
        resources=TrialResources(concurrent=2, cpus_per_trial=1.0, gpus_per_trial=0.0),
        configs={"default": plan.first_configs[0]},
        timings={"default": timing},
        ray_seconds=10.0,
        process_seconds=5.0,
        curve=curve,
    )


def learned(epochs=20, *, first_above=1):
    """Settled after so many epochs, above the trivial prediction from one of them on."""
    values = [0.4] * (first_above - 1) + [0.8] * (epochs - first_above + 1)
    return LearningCurve(values=tuple(values), updates_per_epoch=40, trivial=0.5, most_epochs=50)


def bought(settings, opened, curve=None, *, timing=TIMING, spent=0.0):
    plan = plan_on(opened, settings)
    measurement = measured(plan, curve, timing)
    return *fit_plan(settings, opened, plan, measurement, began=time.monotonic() - spent), measurement


@pytest.mark.parametrize("minutes", [10, 20])
def test_what_is_bought_takes_the_stated_time_with_its_confirmation_and_no_more(settings, opened, minutes):
    stated = 60.0 * minutes
    chosen, plan, measurement = bought(replace(settings, duration_seconds=stated), opened, spent=30.0)
    usable = 0.95 * stated - 30 - 10 - 5
    expected = expected_duration(chosen, plan, measurement)
    assert 0.8 * usable < expected.longest_seconds <= 1.02 * usable
    assert expected.median.seconds <= usable
    assert expected.median.trainings == 3 * (1 + chosen.confirm)
    assert chosen.duration_seconds == stated
    assert chosen.left_seconds == pytest.approx(stated - 30 - 10, abs=2)


def test_what_is_likely_to_be_proposed_has_all_batches_of_the_space(settings, opened, monkeypatch):
    plan, timed = plan_on(opened, settings), []
    monkeypatch.setattr(Measurement, "seconds_of", lambda _, config: timed.append(config) or Seconds(training=1.0))
    expected_duration(replace(settings, num_trials=3), plan, measured(plan))
    assert {config.batch_size * config.accumulation_steps for config in timed} == {4, 8, 16, 32}


def test_twice_the_time_buys_more_trials_or_longer_ones_and_confirms_no_fewer(settings, opened):
    plans = [bought(replace(settings, duration_seconds=60.0 * minutes), opened)[:2] for minutes in (5, 20, 80)]
    work = [chosen.num_trials * plan.max_epochs for chosen, plan in plans]
    assert work == sorted(work)
    assert [chosen.confirm for chosen, _ in plans] == sorted(chosen.confirm for chosen, _ in plans)
    assert plans[-1][0].confirm == 3


def test_a_short_time_buys_shorter_trainings_before_it_buys_too_few_trials(settings, opened):
    long, short = (bought(replace(settings, duration_seconds=seconds), opened, learned(40)) for seconds in (7200, 1200))
    assert long[1].max_epochs == 40
    assert short[1].max_epochs < 40
    assert short[0].num_trials >= 10


def test_more_trials_are_not_bought_by_trainings_too_short_to_be_above_the_trivial_prediction(settings, opened, caplog):
    early, late = (
        bought(replace(settings, duration_seconds=500.0), opened, learned(24, first_above=epoch)) for epoch in (1, 9)
    )
    assert early[1].max_epochs < 18 <= late[1].max_epochs
    assert early[0].num_trials > late[0].num_trials >= 3
    assert "too little" not in caplog.text


def test_without_time_to_learn_trainings_are_as_long_as_the_least_search_allows_and_the_text_says_so(
    settings, opened, caplog
):
    never = LearningCurve(values=(0.4,) * 13, updates_per_epoch=40, trivial=0.5, most_epochs=50)
    chosen, plan, _ = bought(replace(settings, duration_seconds=1000.0), opened, never)
    _, shorter, _ = bought(replace(settings, duration_seconds=1000.0), opened, learned(50))
    assert shorter.max_epochs < plan.max_epochs < 50
    assert chosen.num_trials < 10
    assert "in its pilot run of 13 epochs the default was above" in caplog.text
    assert "in no two epochs in a row. Give --for more time." in caplog.text


def test_a_length_that_the_user_gives_stays(settings, opened):
    chosen, plan, _ = bought(replace(settings, duration_seconds=900.0, max_epochs=20), opened)
    assert (plan.max_epochs, chosen.max_epochs) == (20, 20)


def test_no_more_are_confirmed_than_the_user_asks_for(settings, opened):
    assert bought(replace(settings, duration_seconds=7200.0, confirm=1), opened)[0].confirm == 1
    assert bought(replace(settings, duration_seconds=900.0, confirm=0), opened)[0].confirm == 0


def test_a_time_that_is_too_short_is_refused_with_one_that_is_enough(settings, opened):
    with pytest.raises(
        ValueError, match=r"--for is 1:00, and the smallest search, 3 trials of 4 epochs.*; give --for (\d+)m"
    ) as error:
        bought(replace(settings, duration_seconds=60.0), opened)
    enough = 60.0 * int(str(error.value).rpartition("--for ")[2].partition("m")[0])
    assert bought(replace(settings, duration_seconds=enough), opened)[0].num_trials >= 3


def test_the_full_length_and_the_first_rung_are_those_of_the_learning_curve(settings, opened):
    chosen, plan, _ = bought(settings, opened, learned(20))
    assert (plan.max_epochs, plan.rungs) == (20, (5, 10))
    assert (chosen.num_trials, chosen.confirm, chosen.duration_seconds) == (30, 3, None)
    _, late, _ = bought(settings, opened, learned(24, first_above=9))
    assert late.rungs == (9, 18)


def test_a_default_that_could_not_be_tried_has_the_length_of_its_space(settings, opened):
    nothing = LearningCurve(values=(), updates_per_epoch=40, trivial=0.5, most_epochs=50)
    assert bought(settings, opened, nothing)[1].max_epochs == opened.space.max_epochs


def test_what_is_planned_is_in_the_log_with_its_numbers(settings, opened, caplog):
    caplog.set_level("INFO")
    bought(replace(settings, duration_seconds=1800.0), opened, learned(20))
    log = caplog.text
    assert "30:00 buy " in log
    assert " full trainings of 800 updates (20 epochs), first rung at epoch 5, the best " in log
    assert "Expected: planning and start 0:10, search " in log
    assert "Pilot run: the default reached s_measure 0.800 in 800 updates (20 epochs); above " in log


def test_the_length_is_given_in_updates_and_epochs_and_for_a_loop_in_epochs_only(settings, opened):
    plan = plan_on(opened, settings)
    assert length_in_words(plan, measured(plan)) == "full trainings of 480 updates (12 epochs), first rung at epoch 3"
    of_loop = replace(TIMING, batch_size=None, updates_per_epoch=1)
    assert length_in_words(plan, measured(plan, timing=of_loop)) == "full trainings of 12 epochs, first rung at epoch 3"


def test_a_try_below_the_trivial_prediction_says_so(settings, opened):
    plan = plan_on(opened, settings)
    low = LearningCurve(values=(0.1, 0.2), updates_per_epoch=40, trivial=plan.trivial.objective, most_epochs=50)
    assert pilot_in_words(plan, low).endswith(f"above {plan.trivial.name}, {plan.trivial.objective:.3f}: never clearly")


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({}, 300.0),
        ({"duration_seconds": 1000.0}, 150.0),
        ({"duration_seconds": 1e5}, 300.0),
        ({"max_epochs": 4}, None),
        ({"data": None}, None),
    ],
)
def test_the_default_is_tried_on_data_of_ones_own_without_a_length(settings, opened, changes, seconds):
    assert pilot_seconds(replace(settings, **changes), opened) == seconds


def test_a_warm_start_trains_as_long_as_the_earlier_search_unless_a_length_is_given(settings, tmp_path):
    Recorder.create(tmp_path / "old", recorded_settings(max_epochs=7)).close()
    later = replace(settings, warm_start=tmp_path / "old")
    assert like_the_earlier_search(later).max_epochs == 7
    assert like_the_earlier_search(replace(later, max_epochs=5)).max_epochs == 5
    assert like_the_earlier_search(replace(later, data=None)).max_epochs is None
    assert like_the_earlier_search(settings) == settings


def test_a_search_without_rungs_is_planned_without_rungs(settings, opened):
    chosen, plan, _ = bought(replace(settings, scheduler="none", duration_seconds=1800.0), opened, learned(20))
    assert plan.rungs == ()
    assert math.isfinite(chosen.num_trials)
