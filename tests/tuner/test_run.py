"""What a search plans before Ray starts, how it shares out a cluster, and how it ends when nothing trains."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from optuna.trial import FixedTrial

from trainable.tasks.registry import get_task
from tuner import search
from tuner.cluster import Slots, share_out
from tuner.outcomes import Outcome
from tuner.plan import plan_search
from tuner.records import read_search
from tuner.run import _placement_of, run_search
from tuner.search_options import search_parser
from tuner.settings import SearchSettings


@pytest.fixture
def settings(disc_folder, tmp_path):
    pinned = {"pyramid_channels": 8}
    return SearchSettings(data=str(disc_folder), storage=tmp_path, name="run", max_epochs=6, confirm=0, pinned=pinned)


def first_config(plan):
    return plan.config_of(FixedTrial(plan.pinned.first_points()[0]))


def test_a_plan_holds_the_data_the_budget_and_the_rungs(settings):
    plan = plan_search(settings)
    splits = get_task("moe").open_data(plan.base)
    assert plan.fingerprint == splits.fingerprint
    assert (plan.max_epochs, plan.rungs) == (6, (2, 4))
    assert plan.base.data.source == settings.data


def test_the_micro_batch_follows_the_memory_of_the_gpu_unless_it_is_fixed(settings, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=42_300_000_000))
    assert first_config(plan_search(settings)).batch_size == 16
    assert first_config(plan_search(replace(settings, gpus_per_trial=0.5))).batch_size == 8
    assert first_config(plan_search(replace(settings, gpus_per_trial=0))).batch_size == 8
    assert first_config(plan_search(replace(settings, pinned={"batch_size": 4}))).batch_size == 4


def test_random_search_at_full_length_has_no_rungs(settings):
    assert plan_search(replace(settings, policy="promote")).rungs == plan_search(settings).rungs
    assert plan_search(replace(settings, policy="random")).rungs == ()


def test_the_seed_of_the_search_is_that_of_every_training(settings):
    assert first_config(plan_search(replace(settings, seed=11))).seed == 11


def test_what_is_fixed_holds_in_every_configuration_whether_the_space_knows_it_or_not(settings):
    pinned = {"max_lr": 1e-3, "pyramid_channels": 16, "precision": "fp32", "long_side_px": 32}
    plan = plan_search(replace(settings, pinned=pinned))
    config = first_config(plan)
    assert (config.optimizer.max_lr, config.model.pyramid_channels) == (1e-3, 16)
    assert (config.precision, config.data.long_side_px) == ("fp32", 32)
    assert not any("max_lr" in point for point in plan.pinned.first_points())


def test_data_that_is_named_from_here_is_found_from_everywhere(settings, disc_folder, monkeypatch):
    monkeypatch.chdir(disc_folder.parent)
    plan = plan_search(replace(settings, data=disc_folder.name))
    assert Path(plan.base.data.source) == disc_folder


def test_weights_that_are_named_from_here_are_found_from_everywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own.pt").write_bytes(b"weights")
    named = {}
    for weights in ("own.pt", "imagenet", "gone.pt"):
        options = search_parser().parse_args(["--set", f"weights={weights}"])
        named[weights] = search._settings(options).pinned["weights"]
    assert named == {"own.pt": str(tmp_path / "own.pt"), "imagenet": "imagenet", "gone.pt": "gone.pt"}


def test_large_objects_are_trained_on_whole_images(settings):
    assert first_config(plan_search(settings)).crop is None


def test_a_parameter_that_neither_space_nor_configuration_knows_is_refused_with_the_nearest(settings):
    with pytest.raises(ValueError, match="pyramid_chanels is no parameter; did you mean pyramid_channels"):
        plan_search(replace(settings, pinned={"pyramid_chanels": 8}))


SLOTS = {
    "a laptop": ({"CPU": 8.0}, {}, Slots(concurrent=8, cpus_per_trial=1, gpus_per_trial=0)),
    "fewer trials than room": (
        {"CPU": 8.0},
        {"num_trials": 3},
        Slots(concurrent=3, cpus_per_trial=1, gpus_per_trial=0),
    ),
    "two CPUs a trial": ({"CPU": 8.0}, {"cpus_per_trial": 2}, Slots(concurrent=4, cpus_per_trial=2, gpus_per_trial=0)),
    "fewer at a time": ({"CPU": 8.0}, {"concurrent": 2}, Slots(concurrent=2, cpus_per_trial=1, gpus_per_trial=0)),
    "GPUs": ({"CPU": 16.0, "GPU": 2.0}, {}, Slots(concurrent=2, cpus_per_trial=8, gpus_per_trial=1)),
    "half a GPU": (
        {"CPU": 16.0, "GPU": 1.0},
        {"gpus_per_trial": 0.5},
        Slots(concurrent=2, cpus_per_trial=8, gpus_per_trial=0.5),
    ),
    "two fifths of a GPU": (
        {"CPU": 16.0, "GPU": 2.0},
        {"gpus_per_trial": 0.4, "cpus_per_trial": 1},
        Slots(concurrent=4, cpus_per_trial=1, gpus_per_trial=0.4),
    ),
    "a tenth of a GPU": (
        {"CPU": 16.0, "GPU": 1.0},
        {"gpus_per_trial": 0.1, "cpus_per_trial": 1},
        Slots(concurrent=10, cpus_per_trial=1, gpus_per_trial=0.1),
    ),
    "no GPU wanted": (
        {"CPU": 4.0, "GPU": 1.0},
        {"gpus_per_trial": 0},
        Slots(concurrent=4, cpus_per_trial=1, gpus_per_trial=0),
    ),
    "more GPUs than CPUs": ({"CPU": 4.0, "GPU": 8.0}, {}, Slots(concurrent=4, cpus_per_trial=1, gpus_per_trial=1)),
    "two GPUs a trial": (
        {"CPU": 16.0, "GPU": 5.0},
        {"gpus_per_trial": 2},
        Slots(concurrent=2, cpus_per_trial=6, gpus_per_trial=2, ranks_per_trial=2),
    ),
    "two processes a trial": (
        {"CPU": 5.0},
        {"ranks_per_trial": 2},
        Slots(concurrent=2, cpus_per_trial=2, gpus_per_trial=0, ranks_per_trial=2),
    ),
    "two processes a trial where there are GPUs": (
        {"CPU": 8.0, "GPU": 2.0},
        {"ranks_per_trial": 2},
        Slots(concurrent=1, cpus_per_trial=8, gpus_per_trial=2, ranks_per_trial=2),
    ),
}


@pytest.mark.parametrize(("available", "asked", "slots"), SLOTS.values(), ids=SLOTS)
def test_a_cluster_is_shared_out_as_it_is_and_as_asked(available, asked, slots):
    assert share_out(SearchSettings(**asked), [available]) == slots


def test_what_lies_on_several_machines_is_shared_out_machine_by_machine():
    nodes = [{"CPU": 3.0}, {"CPU": 3.0}, {"CPU": 8.0, "GPU": 2.0}]
    assert share_out(SearchSettings(cpus_per_trial=2, gpus_per_trial=0), nodes).concurrent == 6
    assert share_out(SearchSettings(), nodes) == Slots(concurrent=2, cpus_per_trial=4, gpus_per_trial=1)
    with pytest.raises(ValueError, match="--cpus-per-trial is 9, but Ray has 8 CPUs"):
        share_out(SearchSettings(cpus_per_trial=9), nodes)
    with pytest.raises(ValueError, match="which no single machine of the cluster has"):
        share_out(SearchSettings(cpus_per_trial=4, gpus_per_trial=1), [{"CPU": 8.0}, {"CPU": 2.0, "GPU": 1.0}])


def test_a_trial_of_several_processes_lies_on_one_machine():
    with pytest.raises(ValueError, match="--gpus-per-trial is 2, but Ray has 1 GPUs here"):
        share_out(SearchSettings(gpus_per_trial=2), [{"CPU": 4.0, "GPU": 1.0}] * 2)


def test_each_process_of_a_trial_has_its_bundle_and_the_trial_itself_takes_nothing():
    slots = Slots(concurrent=1, cpus_per_trial=6, gpus_per_trial=2, ranks_per_trial=2)
    placement = _placement_of(slots)
    assert (placement.bundles, placement.head_cpus) == ([{"CPU": 3.0, "GPU": 1.0}] * 2, 0.0)
    assert placement.strategy == "STRICT_PACK"


@pytest.fixture(scope="module")
def diverged(disc_folder, tmp_path_factory):
    """A search whose learning rate no weights survive, at full length and with random proposals."""
    settings = SearchSettings(
        data=str(disc_folder),
        storage=tmp_path_factory.mktemp("diverged"),
        name="run",
        num_trials=2,
        max_epochs=3,
        policy="random",
        pinned={"max_lr": 1e30, "warmup_fraction": 0.0, "pyramid_channels": 8},
    )
    return run_search(settings, plan_search(settings)), settings.folder


def test_a_search_in_which_everything_diverges_ends_without_a_winner_and_says_why(diverged):
    record, _ = diverged
    assert [trial.outcome for trial in record.trials] == [Outcome.DIVERGED] * 2
    assert all("diverged in epoch 1 at step" in trial.sentence for trial in record.trials)
    assert record.winner is None
    assert not record.is_unfinished


def test_a_diverged_trial_leaves_no_value_that_could_be_compared(diverged):
    record, folder = diverged
    assert record == read_search(folder)
    assert all(trial.results == {} for trial in record.trials)
    assert "NaN" not in (folder / "trials.jsonl").read_text()


def test_the_settings_file_says_what_was_asked_for_and_what_was_picked(diverged):
    _, folder = diverged
    said = json.loads((folder / "settings.json").read_text())
    assert (said["policy"], said["num_trials"], said["max_epochs"], said["rung_epochs"]) == ("random", 2, 3, [])
    assert (said["device"], said["objective"], said["mode"]) == ("cpu", "val/s_measure", "max")
    assert said["concurrent"] >= 1
    assert said["versions"].keys() >= {"ray", "torch", "python"}
    assert said["data_fingerprint"].keys() == {"train", "validation", "test", "all"}
