"""The crown workload as a whole: trained, resumed, with techniques that change it, and its mistakes as sentences."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from trainable.config import from_params
from trainable.data.crowns.crown_set import VOID
from trainable.data.crowns.folder import CrownFolderOptions, open_crown_folder
from trainable.data.generated.crown_scenes import CrownSceneConfig
from trainable.data.io.image_cache import CACHE_VARIABLE
from trainable.preset import main as preset_main
from trainable.reporting.output_folder import read_curve
from trainable.reporting.train_options import TrainOptions
from trainable.tasks.registry import get_task
from trainable.techniques.progressive_resolution import ProgressiveResolutionConfig
from trainable.train import main as train_main
from trainable.train import train
from trainable.training_run import TrainingRun
from trainable.workloads.exported_config import ExportedConfig, read_exported_config

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


@pytest.fixture(scope="module")
def small_config():
    """Eight tiles and a narrow network: an epoch takes a third of a second."""
    default = get_task("agroforestry").default_config()
    tiles = CrownSceneConfig(tile_px=48, num_train=8, num_validation=4, num_test=4)
    model = replace(default.model, pyramid_channels=8, max_detections=5)
    data = replace(default.data, generator=tiles)
    return replace(default, max_epochs=2, batch_size=4, data=data, model=model)


@pytest.fixture(scope="module")
def splits(small_config, tmp_path_factory):
    return get_task("agroforestry").open_data(small_config, cache_dir=tmp_path_factory.mktemp("cache"))


@pytest.fixture
def begin(small_config, splits):
    def begin_run(params=None) -> TrainingRun:
        return TrainingRun(from_params(params or {}, small_config), splits)

    return begin_run


def curve(run):
    metrics = []
    while run.ending is None:
        metrics.append(run.run_epoch().metrics)
    return metrics


def test_an_epoch_gives_exactly_the_promised_validation_metrics_beside_its_losses(begin):
    run = begin()
    result = run.run_epoch()
    losses = {f"val/{name}" for name in ("loss", "semantic_loss", "crown_loss", "density_loss")}
    measured = {name for name in result.metrics if name.startswith("val/")}
    assert measured - losses == set(get_task("agroforestry").metric_names)
    assert {f"train/{term}_loss" for term in ("instance", "semantic", "crown", "density")} <= result.metrics.keys()
    assert all(math.isfinite(value) for value in result.metrics.values())
    assert result.objective == result.metrics["val/map_50"]
    assert run.test().keys() >= {"map_50", "semantic_miou"}


def test_low_resolution_lasts_as_many_whole_epochs_as_were_asked_for():
    """7 / 25 times 25 is a little more than 7."""
    stage = ProgressiveResolutionConfig(low_resolution_fraction=7 / 25).build(25)
    assert [stage.side_px(64, epoch) for epoch in (6, 7)] == [32, 64]


def test_a_monitor_of_what_is_annotated_nowhere_is_a_sentence(small_config, splits):
    validation = splits.validation
    unlabelled = replace(validation, semantic=np.full_like(validation.semantic, VOID))
    config = from_params({"monitor": "val/semantic_miou"}, small_config)
    run = TrainingRun(config, replace(splits, validation=unlabelled))
    with pytest.raises(ValueError, match=r"monitor is val/semantic_miou, which can't be measured .* has .*val/map_50"):
        run.run_epoch()


def test_a_standstill_of_the_precision_ends_the_training_and_its_folder_is_whole(small_config, tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    patient = from_params({"max_epochs": 8, "early_stopping": True, "patience_epochs": 2, "max_lr": 1e-6}, small_config)
    train(ExportedConfig(config=patient, data_fingerprint={}), tmp_path / "run", TrainOptions(device="cpu"))
    precisions = [epoch["metrics"]["val/map_50"] for epoch in read_curve(tmp_path / "run" / "curve.jsonl")]
    assert len(precisions) == precisions.index(max(precisions)) + 1 + 2 < 8
    written = {path.name.split(".tfevents")[0] for path in (tmp_path / "run").iterdir()}
    assert written >= {"config.json", "checkpoint.pt", "curve.jsonl", "weights.pt", "metrics.json", "events.out"}
    assert read_exported_config(tmp_path / "run" / "config.json").config == patient


def test_the_same_seed_gives_the_same_curve_to_the_bit_through_a_save_and_a_resume(begin, tmp_path):
    whole = begin({"averaging": True})
    whole.run_epoch()
    whole.save(tmp_path / "checkpoint.pt")
    rest = curve(whole)
    resumed = begin({"averaging": True})
    resumed.restore(tmp_path / "checkpoint.pt")
    assert curve(resumed) == rest


TECHNIQUES = {
    "low resolution first": {"progressive_resolution": True, "low_resolution_fraction": 0.5},
    "no semantic term": {"semantic_weight": 0.0},
    "one cycle": {"schedule_kind": "one_cycle", "warmup_fraction": 0.5},
    "frozen backbone": {"backbone_lr_ratio": 0.0},
}


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_technique_changes_the_training(begin, technique):
    plain, changed = begin().run_epoch().metrics, begin(TECHNIQUES[technique]).run_epoch().metrics
    assert plain["train/loss"] != changed["train/loss"]


def test_channels_last_changes_the_memory_and_not_the_numbers(begin):
    runs, losses = [], []
    for channels_last in (False, True):
        runs.append(begin({"channels_last": channels_last}))
        losses.append(runs[-1].run_epoch().metrics["train/loss"])
    kernels = [run.trainer.model.semantic_head[0].weight for run in runs]
    assert [kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels] == [False, True]
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)


def test_the_backbone_and_the_heads_train_at_rates_of_their_own(begin):
    run = begin({"max_lr": 1e-4, "backbone_lr_ratio": 0.1, "schedule_kind": "constant", "warmup_fraction": 0.0})
    backbone = {id(parameter) for parameter in run.trainer.model.backbone.parameters()}
    run.run_epoch()
    for group in run.trainer.optimizer.param_groups:
        rate = 1e-5 if id(group["params"][0]) in backbone else 1e-4
        assert group["lr"] == pytest.approx(rate)
        assert len({id(parameter) in backbone for parameter in group["params"]}) == 1


def test_a_network_with_fewer_classes_than_the_data_is_refused_with_the_number(begin):
    with pytest.raises(ValueError, match=r"has 3 classes \(cacao, shade tree, palm\); set num_instance_classes=3"):
        begin({"num_instance_classes": 2})


def test_the_data_decides_how_many_classes_the_network_has(small_config, splits):
    other = from_params({"num_instance_classes": 9, "num_semantic_classes": 9}, small_config)
    suited = get_task("agroforestry").adapt_to_data(other, splits)
    assert (suited.model.num_instance_classes, suited.model.num_semantic_classes) == (3, 6)


def test_crowns_are_counted_by_kind_and_tiles_by_what_they_show(small_config, splits):
    data = splits.test
    kinds = [crown.label for row in range(len(data)) for crown in data.crowns_of(row)]
    found = get_task("agroforestry").class_counts(small_config, data)
    assert [found[f"crowns: {name}"] for name in data.kinds] == [
        kinds.count(label) for label in range(1, len(data.kinds) + 1)
    ]
    assert found[f"tiles with {data.semantic_classes[0]}"] == sum(bool((tile == 0).any()) for tile in data.semantic)


def test_fresh_tiles_are_as_many_as_wanted_and_in_none_of_the_splits(small_config, splits, monkeypatch, tmp_path):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    fresh = get_task("agroforestry").fresh_test_set(small_config, 3)
    seen = {image.tobytes() for part in (splits.train, splits.validation, splits.test) for image in part.images}
    assert len(fresh) == 3
    assert not seen & {image.tobytes() for image in fresh.images}


def test_options_of_a_folder_are_refused_for_the_embedded_tiles(small_config):
    with pytest.raises(ValueError, match="The embedded tiles are drawn"):
        from_params({"one_kind": True}, small_config)


@pytest.mark.skipif(not (DATA / "camvid").is_dir(), reason="the real street scenes are not on this machine")
def test_data_with_classes_and_no_crowns_trains_the_semantic_head_and_cannot_be_searched(tmp_path):
    task = get_task("agroforestry")
    source = str(DATA / "camvid")
    config = from_params(
        {"tile_px": 64, "overlap_px": 0, "void_label": 11, "group_pattern": "^[^_]+", "weight_decay": 0.0},
        task.default_config(source),
    )
    with pytest.raises(ValueError, match="No crown is annotated in the train split"):
        task.open_data(config, cache_dir=tmp_path)
    options = CrownFolderOptions(tile_px=64, overlap_px=0, void_label=11, group_pattern="^[^_]+")
    data = open_crown_folder(DATA / "camvid", options, cache_dir=tmp_path)
    few = replace(data.train, names=data.train.names[:16])
    config = task.adapt_to_data(replace(config, max_epochs=1), data)
    run = TrainingRun(config, replace(data, train=few, validation=replace(data.test, names=data.test.names[:4])))
    before = {name: value.clone() for name, value in run.trainer.model.state_dict().items()}
    run._training.set_epoch(0)
    metrics = run.trainer.train_epoch(run._training, 0, log_interval=0)
    assert metrics["instance_loss"] == 0 < metrics["semantic_loss"]
    after = run.trainer.model.state_dict()
    moved = {name.split(".")[0] for name, value in after.items() if not torch.equal(value, before[name])}
    assert moved == {"backbone", "pyramid", "semantic_head"}


def test_two_commands_train_at_low_resolution_and_then_at_full_from_those_weights(tmp_path, monkeypatch, caplog):
    """The commands of docs/training.md, on eight small tiles."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    caplog.set_level("INFO")
    changes = ["generator.tile_px=64", "generator.num_train=8", "generator.num_validation=4", "generator.num_test=4"]
    small = [word for change in (*changes, "pyramid_channels=8") for word in ("--set", change)]
    one, two = tmp_path / "one", tmp_path / "two"
    for stage, folder in (("stage_1", one), ("stage_2", two)):
        command = ["agroforestry", f"document+{stage}", str(folder / "config.json"), "--epochs", "1", *small]
        assert preset_main(command) == 0
    on_cpu = ["--device", "cpu"]
    assert train_main(["--config", str(one / "config.json"), "--output", str(one), *on_cpu]) == 0
    begun = ["--init", str(one), "--output", str(two / "train")]
    assert train_main(["--config", str(two / "config.json"), *begun, *on_cpu]) == 0
    first, second = (read_exported_config(path / "config.json").config for path in (one, two / "train"))
    assert first.progressive_resolution.build(first.max_epochs).side_px(64, epoch=0) == 32
    assert (second.progressive_resolution, second.optimizer.max_lr) == (None, 1e-5)
    assert second.init_weights == str(one / "weights.pt")
    assert "starts fresh: nothing; not used: nothing" in caplog.text
