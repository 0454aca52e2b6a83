import logging

import pytest

from tuner.extension import extended_settings, latest_ray_folder, next_ray_folder
from tuner.recorder import Recorder
from tuner.records import SETTINGS, read_search
from tuner.settings import SearchSettings


@pytest.mark.parametrize(
    ("present", "latest", "following"),
    [
        ([], "ray", "ray_2"),
        (["ray"], "ray", "ray_2"),
        (["ray", "ray_2", "ray_10"], "ray_10", "ray_11"),
        (["ray", "ray_old"], "ray", "ray_2"),
    ],
)
def test_each_run_of_rays_has_a_folder_of_its_own(tmp_path, present, latest, following):
    for name in present:
        (tmp_path / name).mkdir()
    assert latest_ray_folder(tmp_path).name == latest
    assert next_ray_folder(tmp_path).name == following


def as_begun(trained_folder, **changed):
    search = read_search(trained_folder)
    began = SearchSettings(data=search.settings["data"], name="discs", num_trials=3)
    search.settings = {name: getattr(began, name) for name in SearchSettings.__dataclass_fields__} | changed
    return search


def test_a_search_is_extended_under_the_settings_that_it_began_with(trained_folder):
    search = as_begun(trained_folder, warm_start=str(trained_folder))
    settings = extended_settings(search, 20)
    assert (settings.num_trials, settings.name, settings.data) == (23, "discs", search.settings["data"])
    assert settings.warm_start == trained_folder


def test_a_warm_started_search_is_extended_when_its_source_has_moved(trained_folder, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    assert extended_settings(as_begun(trained_folder, warm_start=str(tmp_path / "moved")), 20).warm_start is None
    assert "moved is gone: the search goes on with what it found itself." in caplog.text


def test_no_trial_more_is_refused(trained_folder):
    search = read_search(trained_folder)
    with pytest.raises(ValueError, match="--trials is 0; give the number of additional trials, 1 or more"):
        extended_settings(search, 0)


def test_the_new_number_of_trials_is_on_disk_at_once(tmp_path):
    recorder = Recorder.create(tmp_path / "run", {"space": "moe", "objective": "val/s", "mode": "max", "num_trials": 3})
    recorder.extend(8)
    recorder.close()
    assert read_search(tmp_path / "run").settings["num_trials"] == 8
    assert [path.name for path in (tmp_path / "run").glob("*settings*")] == [SETTINGS]
