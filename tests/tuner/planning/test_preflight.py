"""Errors before a search starts, beyond the table of wrong inputs."""

import json
import logging
import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from search_spaces.registry import SPACES
from search_spaces.stub_trials import middle
from tuner.planning.opened_data import open_for_search
from tuner.planning.plan import plan_as_given, plan_from_records, plan_on
from tuner.planning.preflight import check_configurations, check_continuation, check_folder
from tuner.policy.outcomes import Outcome
from tuner.records import Recorder
from tuner.records.events import TRIALS
from tuner.records.lock import lock_folder
from tuner.records.settings import read_settings, write_settings
from tuner.settings import SearchSettings


def test_a_space_whose_warmup_reaches_past_the_first_rung_is_refused_with_a_value_that_is_accepted():
    plan = replace(plan_as_given(SearchSettings(space="moe")), rungs=(1,))
    with pytest.raises(ValueError, match=r"^A trial .* past the first rung at epoch 1; give --set (\S+)=0.083 or less"):
        check_configurations(plan, {})
    pinned = {"warmup_fraction": 0.083}
    check_configurations(replace(plan_as_given(SearchSettings(space="moe", pinned=pinned)), rungs=(1,)), pinned)


@pytest.mark.parametrize(("name", "value"), [("focal_gamma", 1.0), ("gradnorm_alpha", 1.0), ("label_smoothing", 0.1)])
def test_a_fixed_value_that_only_some_trials_use_is_accepted(name, value, caplog):
    caplog.set_level(logging.INFO)
    plan = plan_as_given(SearchSettings(space="retina", pinned={name: value}))
    check_configurations(plan, {name: value})
    said = f"Fixed: {name}={value} in each trial that uses it; the default does not."
    assert (said in caplog.text) == (name != "label_smoothing")


@pytest.mark.slow
@pytest.mark.parametrize("space", sorted(SPACES))
def test_every_parameter_of_a_space_can_be_fixed(space):
    settings = SearchSettings(space=space)
    opened = open_for_search(settings)
    for name, distribution in plan_on(opened, settings).pinned_space.asked.items():
        pinned = {name: middle(distribution)}
        check_configurations(plan_on(opened, replace(settings, pinned=pinned)), pinned)


def test_a_new_search_in_the_folder_of_a_running_one_is_not_sent_to_resume(trained_folder, tmp_path):
    folder = Path(shutil.copytree(trained_folder, tmp_path / "run"))
    with pytest.raises(ValueError, match=r"already holds a search; continue with --resume"):
        check_folder(folder)
    with lock_folder(folder), pytest.raises(ValueError, match=r"holds a search that is running; give another --name"):
        check_folder(folder)


def test_an_extension_that_was_killed_before_its_first_line_continues_with_a_resume(trained_folder, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained_folder, folder)
    answer_as_the_space_asks(folder)
    with closing(Recorder.resume(folder)) as recorder:
        for trial in recorder.record.unfinished:
            recorder.end(trial.name, Outcome.FAILED, numbers={}, epoch=trial.last.epoch)
        recorder.finish()
    with pytest.raises(ValueError, match=r"is finished, 3 of 3 trials ended"):
        check_continuation(folder)
    check_continuation(folder, is_extended=True)
    with closing(Recorder.resume(folder)) as recorder:
        recorder.change(num_trials=5)
    check_continuation(folder)
    with pytest.raises(ValueError, match=r"is not finished; continue with --resume alone"):
        check_continuation(folder, is_extended=True)


@pytest.mark.parametrize("is_extended", [False, True])
def test_a_time_budget_that_is_used_up_is_a_sentence_before_anything_starts(trained_folder, tmp_path, is_extended):
    folder = Path(shutil.copytree(trained_folder, tmp_path / "run"))
    answer_as_the_space_asks(folder)
    with closing(Recorder.resume(folder)) as recorder:
        recorder._began -= 100.0
        for trial in recorder.record.unfinished if is_extended else ():
            recorder.end(trial.name, Outcome.FAILED, numbers={}, epoch=trial.last.epoch)
        recorder.close_session()
        used = recorder.record.search_seconds
    with pytest.raises(ValueError, match=rf"--time-budget is 60 s over all sessions, and .* has used {used:.0f} s"):
        check_continuation(folder, is_extended=is_extended, seconds=60.0)
    check_continuation(folder, is_extended=is_extended, seconds=used + 1.0)


def test_a_time_budget_keeps_no_search_whose_trials_have_ended_from_its_confirmation(trained_folder, tmp_path):
    folder = Path(shutil.copytree(trained_folder, tmp_path / "run"))
    answer_as_the_space_asks(folder)
    with closing(Recorder.resume(folder)) as recorder:
        for trial in recorder.record.unfinished:
            recorder.end(trial.name, Outcome.FAILED, numbers={}, epoch=trial.last.epoch)
    check_continuation(folder, seconds=1e-3)


def answer_as_the_space_asks(folder: Path) -> None:
    """The trials of the fixture have parameters alone."""
    settings = read_settings(folder)
    answers = plan_from_records(settings).pinned_space.points_to_evaluate()[0]
    write_settings(folder, replace(settings, first_answers=()))
    lines = [json.loads(line) for line in (folder / TRIALS).read_text().splitlines()]
    changed = [line | ({"answers": answers} if line["event"] == "start" else {}) for line in lines]
    (folder / TRIALS).write_text("".join(json.dumps(line) + "\n" for line in changed))
