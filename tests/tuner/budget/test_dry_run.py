"""A dry run estimates a search from real steps, and starts nothing of it."""

import re
import time
from dataclasses import replace

import pytest
import torch

from trainable.config import from_params
from trainable.models.crown_net import CrownNet
from trainable.tasks.registry import get_task
from trainable.techniques.memory import MemoryShortage
from trainable.training_run import TrainingRun
from tuner.budget import step_timing
from tuner.budget.choice import shape_of
from tuner.budget.dry_run import dry_run
from tuner.budget.dry_run_text import StartUp, checked_line, expected_lines, planned_lines
from tuner.budget.duration import DurationEstimate, Play, Seconds
from tuner.budget.measurement import Measurement, drawn_configs, extremes, most_similar
from tuner.budget.step_timing import StepTiming, time_steps
from tuner.planning.plan import plan_as_given
from tuner.records import TrialResources
from tuner.settings import SearchSettings


@pytest.fixture(autouse=True)
def _no_repeats(monkeypatch):
    monkeypatch.setattr(step_timing, "STEADY_SECONDS", 0.0)


@pytest.fixture
def settings(disc_folder, tmp_path):
    given = {"data": str(disc_folder), "storage": tmp_path, "num_trials": 4, "max_epochs": 4}
    return SearchSettings(**given, pinned={"pyramid_channels": 8, "backbone": "small"})


def test_a_step_timing_measures_a_whole_epoch_from_two_updates(disc_config):
    splits = get_task("moe").open_data(disc_config)
    result = time_steps(disc_config, splits, device=torch.device("cpu"))
    run = TrainingRun(disc_config, splits)
    assert result.updates_per_epoch == -(
        -len(splits.train) // (disc_config.batch_size * disc_config.accumulation_steps)
    )
    assert result.epoch_seconds > result.update_seconds * result.updates_per_epoch > 0
    assert 0 < result.peak_gib < result.device_gib
    num_weights = sum(parameter.numel() for parameter in run.trainer.model.parameters())
    assert 4 * num_weights / 1e6 < result.checkpoint_mb


def test_of_a_progressive_resolution_the_whole_images_are_timed(tmp_path, monkeypatch):
    default, sides, forward = get_task("agroforestry").default_config(), set(), CrownNet.forward

    def spied(network, images, targets=None):
        sides.add(images.shape[-1])
        return forward(network, images, targets)

    monkeypatch.setattr(CrownNet, "forward", spied)
    tiles = replace(default.data.generator, tile_px=64, num_train=4, num_validation=2, num_test=2)
    small = replace(default, batch_size=2, data=replace(default.data, generator=tiles))
    config = from_params({"progressive_resolution": True, "pyramid_channels": 8}, small)
    splits = get_task("agroforestry").open_data(config, cache_dir=tmp_path)
    time_steps(config, splits, device=torch.device("cpu"))
    assert sides == {64}


def test_the_extremes_are_configurations_that_the_space_proposes(settings):
    found = extremes(plan_as_given(settings))
    sizes = {name: config.batch_size * config.model.num_experts for name, config in found.items()}
    assert sizes["smallest"] < sizes["default"] < sizes["largest"]
    assert {config.model.pyramid_channels for config in found.values()} == {8}


@pytest.mark.parametrize(
    ("batch_size", "accumulation_steps", "name"),
    [(2, 1, "smallest"), (4, 1, "smallest"), (8, 2, "default"), (16, 2, "largest")],
)
def test_a_configuration_takes_the_times_of_the_one_with_as_many_images_an_update(
    disc_config, batch_size, accumulation_steps, name
):
    """32 by 16 are a factor of 2 from the largest's 64 by 16, and of 4 and 2 from the default's 8 by 8."""
    sizes = {"default": (8, 1), "smallest": (4, 1), "largest": (16, 4)}
    measured = {
        name: replace(disc_config, batch_size=images, accumulation_steps=steps)
        for name, (images, steps) in sizes.items()
    }
    asked = replace(disc_config, batch_size=batch_size, accumulation_steps=accumulation_steps)
    assert most_similar(asked, measured) == name


@pytest.mark.parametrize(
    ("scheduler", "rung_epochs", "promotes"),
    [("asha", (1, 2), True), ("asha-stopping", (1, 2), False), ("none", (), False)],
)
def test_the_schedule_is_that_of_the_scheduler_that_was_asked_for(settings, scheduler, rung_epochs, promotes):
    asked = replace(settings, scheduler=scheduler, confirm=2)
    result = shape_of(asked, plan_as_given(asked), TrialResources(concurrent=2, cpus_per_trial=1, gpus_per_trial=0))
    assert (result.rung_epochs, result.promotes) == (rung_epochs, promotes)
    assert (result.num_trials, result.slots, result.max_epochs, result.confirm, str(result.seeds)) == (
        4,
        2,
        4,
        2,
        "3..6",
    )


@pytest.fixture
def room_for(monkeypatch):
    """Lets micro-batches of so many images be built, and no more."""
    build = step_timing.build_trainer

    def limit(images):
        def build_if_it_fits(task, config, **options):
            if config.batch_size > images:
                raise MemoryShortage("too much", asked_bytes=None, available_bytes=None)
            return build(task, config, **options)

        monkeypatch.setattr(step_timing, "build_trainer", build_if_it_fits)

    return limit


def test_a_step_timing_out_of_memory_is_repeated_with_half_the_micro_batch_as_a_trial_would(disc_config, room_for):
    splits = get_task("moe").open_data(disc_config)
    asked = replace(disc_config, batch_size=8, accumulation_steps=1)
    room_for(2)
    result = time_steps(asked, splits, device=torch.device("cpu"))
    assert result.batch_size == 2
    assert result.updates_per_epoch == -(-len(splits.train) // 8)
    room_for(0)
    with pytest.raises(MemoryShortage):
        time_steps(asked, splits, device=torch.device("cpu"))


@pytest.mark.slow
def test_the_forecast_comes_from_the_cluster_and_leaves_no_search_behind(settings):
    result = dry_run(settings, plan_as_given(settings), None, began=time.monotonic()).text
    assert "moe: 4 trials of up to 4 epochs, asha with forecast; " in result
    assert re.search(r"\nlargest +\d+\.\d{3} s +\d+ +\d+ +\d+\.\d\d s +\d+\.\d\d GiB +\d+\.\d MB\n", result)
    assert re.search(r"\nwall time +\d+:\d\d, 90 % between \d+:\d\d and \d+:\d\d\n", result)
    assert not settings.folder.exists()


@pytest.fixture
def timings():
    one = StepTiming(
        update_seconds=0.5,
        updates_per_epoch=20,
        batch_size=16,
        build_seconds=1.0,
        validation_seconds=2.0,
        peak_gib=10.0,
        device_gib=24.0,
        checkpoint_mb=100.0,
        checkpoint_seconds=0.1,
    )
    return {"default": one}


def text_of(settings, timings, concurrent=2, gpus=0.0):
    """Lines for a search of 60 s on two slots, 20 s of it waiting for the last trial, and a confirmation of 90 s."""
    busy = Seconds(build=8.0, training=48.0, validation=16.0, checkpoint=8.0)
    median = Play(search_seconds=60.0, confirm_seconds=90.0, busy=busy, busy_seconds=180.0, epochs=34, trainings=6)
    expected = DurationEstimate(median=median, shortest_seconds=100.0, longest_seconds=200.0)
    slots = TrialResources(concurrent=concurrent, cpus_per_trial=1, gpus_per_trial=gpus)
    start_up = StartUp(command=4.0, ray=5.0, process=6.0)
    return "\n".join(expected_lines(settings, plan_as_given(settings), slots, timings, expected, start_up))


def test_a_reader_sees_what_the_wall_time_is_made_of(settings, timings):
    lines = text_of(settings, timings).splitlines()
    assert lines[:8] == [
        "wall time     2:45, 90 % between 1:55 and 3:35",
        "  start-up      0:15  command 4 s, Ray 5 s, process and data 6 s",
        "  building      0:06",
        "  training      0:36  34 epochs",
        "  validation    0:12",
        "  checkpoints   0:06",
        "  confirmation  1:30  6 trainings of 4 epochs; 3 seeds, up to 6 for the exported one and the default while "
        "undecided",
        "total         0.05 CPU-hours",
    ]


@pytest.mark.parametrize(
    ("concurrent", "gpus", "is_enough"),
    [(2, 0.0, True), (3, 0.0, False), (8, 1.0, True), (8, 0.5, True), (8, 0.25, False), (2, 0.25, True)],
)
def test_trials_that_will_not_fit_side_by_side_are_reported(settings, timings, concurrent, gpus, is_enough):
    assert ("TOO LITTLE, lower --concurrent" not in text_of(settings, timings, concurrent, gpus)) is is_enough


def test_disk_holds_a_checkpoint_of_each_trial_and_one_being_written_in_each_slot(settings, timings):
    assert "disk          up to 600 MB of checkpoints, " in text_of(settings, timings)
    budgeted = replace(settings, disk_budget_bytes=450_000_000)
    assert "disk          up to 450 MB of checkpoints, " in text_of(budgeted, timings)


@pytest.mark.parametrize(("budget_mb", "is_enough"), [(400, True), (399, False)])
def test_a_disk_budget_below_the_best_the_default_and_what_trains_is_reported(settings, timings, budget_mb, is_enough):
    budgeted = replace(settings, confirm=1, disk_budget_bytes=budget_mb * 10**6)
    assert ("TOO LITTLE, the search needs 400 MB at a time" not in text_of(budgeted, timings)) is is_enough


def test_the_checks_are_listed_with_their_numbers(settings):
    plan = plan_as_given(
        replace(settings, pinned={"pyramid_channels": 8, "backbone": "small", "warmup_fraction": 0.125})
    )
    result = checked_line(plan, drawn_configs(plan))
    assert f"the first rung is at epoch {plan.rungs[0]}, the longest warm-up ends at 0.5; updates of " in result


def test_the_number_of_images_is_shown_with_a_warning_when_there_are_few(settings, timings):
    plan = replace(plan_as_given(settings), images={"train": 30, "validation": 19, "test": 20}, image_size_px=(32, 48))
    result = "train 30, validation 19, test 20 images at 48 x 32 px"
    caution = "Only 19 validation images: too few to rank configurations."
    slots = TrialResources(concurrent=2, cpus_per_trial=1, gpus_per_trial=0)
    measured = Measurement(resources=slots, configs={}, timings=timings, ray_seconds=5.0, process_seconds=6.0)
    assert planned_lines(plan, measured)[:2] == [f"images        {result}", f"caution       {caution}"]
