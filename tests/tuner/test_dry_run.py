"""What a search will take is told from real steps, and nothing of the search is begun."""

import re
from dataclasses import replace

import pytest
import torch

from trainable.rehearsal import rehearse
from trainable.tasks.registry import get_task
from trainable.training_run import TrainingRun
from tuner.cluster import Slots
from tuner.dry_run import _expected_lines as expected_lines
from tuner.dry_run import dry_run, extremes
from tuner.forecast import Forecast
from tuner.plan import plan_search
from tuner.settings import SearchSettings


@pytest.fixture
def settings(disc_folder, tmp_path):
    given = {"data": str(disc_folder), "storage": tmp_path, "num_trials": 4, "max_epochs": 4}
    return SearchSettings(**given, pinned={"pyramid_channels": 8})


def test_a_rehearsal_measures_a_whole_epoch_from_two_updates(disc_config):
    splits = get_task("moe").open_data(disc_config)
    told = rehearse(disc_config, splits, device=torch.device("cpu"))
    run = TrainingRun(disc_config, splits)
    assert told.updates_per_epoch == -(-len(splits.train) // (disc_config.batch_size * disc_config.accumulation_steps))
    assert told.epoch_seconds > told.update_seconds * told.updates_per_epoch > 0
    assert 0 < told.peak_gib < told.device_gib
    num_weights = sum(parameter.numel() for parameter in run.trainer.model.parameters())
    assert 4 * num_weights / 1e6 < told.checkpoint_mb


def test_the_extremes_are_configurations_that_the_space_proposes(settings):
    found = extremes(plan_search(settings))
    sizes = {name: config.batch_size * config.model.num_experts for name, config in found.items()}
    assert sizes["smallest"] < sizes["default"] < sizes["largest"]
    assert {config.model.pyramid_channels for config in found.values()} == {8}


@pytest.mark.slow
def test_the_forecast_comes_from_the_cluster_and_leaves_no_search_behind(settings):
    told = dry_run(settings, plan_search(settings))
    assert "moe: 4 trials of up to 4 epochs; " in told
    assert re.search(r"\nlargest +\d+\.\d{3} s +\d+\.\d\d s +\d+\.\d\d GiB +\d+\.\d MB\n", told)
    assert re.search(r"\nsearch +\d+:\d\d, nine times in ten between \d+:\d\d and \d+:\d\d; \d+ epochs\n", told)
    assert not settings.folder.exists()


@pytest.mark.parametrize(("concurrent", "is_enough"), [(2, True), (3, False)])
def test_trials_that_will_not_fit_side_by_side_are_told(settings, disc_config, concurrent, is_enough):
    one = replace(
        rehearse(disc_config, get_task("moe").open_data(disc_config), device=torch.device("cpu")),
        peak_gib=10.0,
        device_gib=24.0,
    )
    expected = Forecast(wall_seconds=1, shortest_seconds=1, longest_seconds=1, busy_seconds=1, epochs=1)
    slots = Slots(concurrent=concurrent, cpus_per_trial=1, gpus_per_trial=0)
    lines = expected_lines(settings, plan_search(settings), slots, {"default": one}, expected)
    assert ("TOO LITTLE" not in "\n".join(lines)) is is_enough
