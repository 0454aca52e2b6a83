"""A search that begins with the best of an earlier one, as far as its space still asks for it."""

import logging

import optuna
import pytest

from tuner.outcomes import Outcome
from tuner.recorder import Recorder
from tuner.study_mirror import FILE, StudyMirror
from tuner.warm_start import NUM_BEST, warm_points

SETTINGS = {"space": "moe", "objective": "val/s_measure", "mode": "max", "num_trials": 9, "name": "old"}


def space_of(low, high, name="max_lr"):
    return lambda trial: {name: trial.suggest_float(name, low, high)}


@pytest.fixture
def folder(tmp_path):
    """Nine trials at max_lr .1 to .9; the objective is best near .5 and falls with the distance from it."""
    recorder = Recorder.create(tmp_path / "moe" / "old", SETTINGS)
    study = optuna.create_study(direction="maximize")
    for number in range(9):
        rate = (number + 1) / 10
        study.enqueue_trial({"max_lr": rate})
        trial = study.ask()
        space_of(0.0, 1.0)(trial)
        trial.set_user_attr("number", number)
        trial.set_user_attr("outcome", "completed")
        study.tell(trial, -abs(rate - 0.52))
        recorder.start(f"t{number}", number=number, params={"max_lr": rate, "fixed": 3})
        recorder.result(f"t{number}", epoch=1, objective=-abs(rate - 0.52), metrics={}, seconds=1.0)
        recorder.end(f"t{number}", Outcome.COMPLETED, numbers={}, epoch=1)
    StudyMirror(recorder.folder / FILE, study_name="old").update(study)
    recorder.close()
    return recorder.folder


def test_the_best_come_first_by_the_names_that_the_space_asks_for(folder):
    points = warm_points(folder, space_of(0.0, 1.0), space_name="moe")
    assert points == [{"max_lr": rate} for rate in (0.5, 0.6, 0.4, 0.7, 0.3)]
    assert len(points) == NUM_BEST


def test_where_a_range_has_changed_what_lies_outside_is_left_out_and_said(folder, caplog):
    caplog.set_level(logging.INFO)
    points = warm_points(folder, space_of(0.45, 0.65), space_name="moe")
    assert points == [{"max_lr": 0.5}, {"max_lr": 0.6}]
    assert "trial 3 of" in caplog.text
    assert "is not tried again" in caplog.text


def test_what_the_space_no_longer_asks_for_is_left_out(folder):
    assert warm_points(folder, space_of(0.0, 1.0, name="weight_decay"), space_name="moe") == []


def test_a_search_of_another_space_is_refused(folder):
    with pytest.raises(ValueError, match="is a search of the space 'moe', not of 'leaf'"):
        warm_points(folder, space_of(0.0, 1.0), space_name="leaf")


def test_a_search_without_a_measured_trial_is_refused(tmp_path):
    Recorder.create(tmp_path / "moe" / "empty", SETTINGS).close()
    with pytest.raises(ValueError, match="has no measured trial to start from"):
        warm_points(tmp_path / "moe" / "empty", space_of(0.0, 1.0), space_name="moe")
