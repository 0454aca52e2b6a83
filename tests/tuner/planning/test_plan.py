"""The plan of a search: made again from its records, and the number of trials in a space of few configurations."""

import shutil
from types import SimpleNamespace

import pytest

from search_spaces.pinning import PinnedSpace
from search_spaces.registry import SPACES
from search_spaces.space import Situation
from search_spaces.stub_trials import ends_or_inside
from tests.tuner.conftest import recorded_settings
from tuner.planning.plan import _all_configurations, extend, limit_to_space, plan_as_given, plan_from_records
from tuner.records import Recorder, TrialResources, read_search
from tuner.run import recorded_settings as settings_of
from tuner.settings import SearchSettings

GRID = PinnedSpace(SPACES["dishes_grid"], Situation(num_train_images=100, pretrained=False))


@pytest.mark.parametrize(("asked", "held", "planned"), [(30, 18, 18), (18, 18, 18), (10, None, 10)])
def test_no_more_trials_are_planned_than_there_are_configurations(asked, held, planned):
    plan = SimpleNamespace(all_points=held and tuple(range(held)))
    assert limit_to_space(SearchSettings(num_trials=asked), plan).num_trials == planned


def test_what_another_search_has_tried_is_not_tried_again():
    remaining = _all_configurations(GRID, [], num_trials=30)
    known = remaining[3:8]
    assert _all_configurations(GRID, known, num_trials=13) == remaining[:3] + remaining[8:]
    assert _all_configurations(GRID, known, num_trials=12) is None


@pytest.fixture
def settings(disc_folder, tmp_path):
    shutil.copytree(disc_folder, tmp_path / "data")
    return SearchSettings(
        data=str(tmp_path / "data"),
        storage=tmp_path,
        name="run",
        max_epochs=6,
        pinned={"pyramid_channels": 8, "max_lr": 1e-3, "backbone": "small"},
    )


def test_what_is_on_record_plans_the_same_search_though_its_data_is_gone(settings, tmp_path):
    plan = plan_as_given(settings)
    resources = TrialResources(concurrent=2, cpus_per_trial=1.0, gpus_per_trial=0.0)
    Recorder.create(tmp_path / "run", settings_of(settings, plan, resources)).close()
    shutil.rmtree(settings.data)
    again = plan_from_records(read_search(tmp_path / "run").settings)
    assert (again.base, again.rungs, again.max_epochs) == (plan.base, plan.rungs, plan.max_epochs)
    assert (again.situation, again.pins, again.first_answers) == (plan.situation, plan.pins, plan.first_answers)
    for seed in range(20):
        assert again.pinned_space(ends_or_inside(seed)) == plan.pinned_space(ends_or_inside(seed))


def test_an_extension_asks_for_more_and_no_fewer_than_one():
    recorded = recorded_settings(num_trials=3)
    plan = SimpleNamespace(pinned_space=lambda trial: {"max_lr": trial.suggest_float("max_lr", 0.0, 1.0)})
    assert extend(recorded, plan, more=20, known=[]).num_trials == 23
    with pytest.raises(ValueError, match="--trials is 0; give the number of additional trials, from 1 to"):
        extend(recorded, plan, more=0, known=[])


def test_an_extension_of_a_space_that_holds_few_tries_what_is_left_and_no_more():
    remaining = _all_configurations(GRID, [], num_trials=30)
    plan, recorded = SimpleNamespace(pinned_space=GRID), recorded_settings(num_trials=10, first_answers=remaining[:10])
    longer = extend(recorded, plan, more=20, known=remaining[:10])
    assert (longer.num_trials, longer.first_answers) == (18, remaining)
    with pytest.raises(ValueError, match="Every configuration of the space has been tried"):
        extend(longer, plan, more=1, known=remaining)
