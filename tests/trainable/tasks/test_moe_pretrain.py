"""Pre-training by contrast, and then the camouflage network from it: the commands of docs/training.md."""

import json

import pytest
import torch

from trainable.config import from_params
from trainable.data.io.image_cache import CACHE_VARIABLE
from trainable.preset import main as preset_main
from trainable.tasks.registry import get_task
from trainable.train import main as train_main
from trainable.training_run import TrainingRun
from trainable.workloads.exported_config import read_exported_config

TASK = get_task("moe_pretrain")
FEW = ["scenes.image_size_px=48", "scenes.num_train=33", "scenes.num_validation=9", "scenes.num_test=8"]


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path_factory.getbasetemp() / "cache of pre-training"))


@pytest.fixture
def config(tmp_path):
    assert preset_main(["moe_pretrain", "default", str(tmp_path / "config.json"), *few()]) == 0
    return read_exported_config(tmp_path / "config.json").config


def few(*more):
    return [word for change in (*FEW, *more) for word in ("--set", change)]


def test_two_commands_pre_train_the_backbone_and_two_start_the_network_from_it(tmp_path, caplog):
    caplog.set_level("INFO")
    pretrain, whole = tmp_path / "pretrain", tmp_path / "moe"
    on_cpu = ["--epochs", "1", "--device", "cpu"]
    assert preset_main(["moe_pretrain", "default", str(pretrain / "config.json"), *few("batch_size=8")]) == 0
    begun = ["--config", str(pretrain / "config.json"), "--output", str(pretrain / "train"), *on_cpu]
    assert train_main(begun) == 0
    tested = json.loads((pretrain / "train" / "metrics.json").read_text())["test"]
    assert {"retrieval_accuracy", "mean_reciprocal_rank", "loss"} <= tested.keys()
    assert preset_main(["moe", "default", str(whole / "config.json"), *few("pyramid_channels=8")]) == 0
    begun = ["--config", str(whole / "config.json"), "--init", str(pretrain / "train"), "--output", str(whole / "run")]
    assert train_main([*begun, *on_cpu]) == 0
    assert "took backbone (38 tensors); starts fresh: pyramid" in caplog.text
    assert read_exported_config(whole / "run" / "config.json").config.model.weights.endswith("weights.pt")


def test_the_network_starts_from_the_backbone_that_was_pre_trained(config, tmp_path):
    run = TrainingRun(from_params({"batch_size": 8}, config), TASK.open_data(config))
    fresh = {name: value.clone() for name, value in run.trainer.model.backbone.state_dict().items()}
    run.run_epoch()
    torch.save(run.handed_over.weights, tmp_path / "weights.pt")
    trained = run.trainer.model.backbone.state_dict()
    assert any(not torch.equal(value, fresh[name]) for name, value in trained.items())
    moe = get_task("moe")
    started = moe.build_model(from_params({"weights": str(tmp_path / "weights.pt")}, moe.default_config()))
    assert all(torch.equal(value, trained[name]) for name, value in started.backbone.state_dict().items())


def test_masks_are_no_part_of_what_is_learned(config):
    splits = TASK.open_data(config)
    images, labels = next(iter(TASK.training_batches(config, splits.train, torch.device("cpu"))))
    assert images.shape == (32, 3, 48, 48)
    assert (labels == -1).all()


def test_looks_of_an_evaluation_are_the_same_each_time(config):
    batches = TASK.evaluation_batches(config, TASK.open_data(config).validation, torch.device("cpu"))
    first, second = (next(iter(batches))[0] for _ in range(2))
    assert first.shape == (9, 2, 3, 48, 48)
    assert torch.equal(first, second)
    assert not torch.equal(first[:, 0], first[:, 1])


def test_random_features_are_the_floor(config):
    floor = TASK.trivial_floor(config, TASK.open_data(config), "validation")
    assert floor.name == "random features"
    by_chance = sum(1 / rank for rank in range(1, 10)) / 9
    assert floor.metrics["mean_reciprocal_rank"] == pytest.approx(by_chance, abs=0.06)
    assert floor.objective > 1 / 5, "the middle of nine, which features that are all alike have"


def test_a_resumed_pre_training_continues_to_the_bit(config, tmp_path):
    config, splits = from_params({"batch_size": 8, "max_epochs": 2}, config), TASK.open_data(config)
    whole = TrainingRun(config, splits)
    curve = [whole.run_epoch().metrics for _ in range(2)]
    first = TrainingRun(config, splits)
    first.run_epoch()
    first.save(tmp_path / "state.pt")
    second = TrainingRun(config, splits)
    second.restore(tmp_path / "state.pt")
    assert second.run_epoch().metrics == curve[1]


def test_a_batch_of_one_image_is_refused(config):
    with pytest.raises(ValueError, match="batch_size is 1; a view is compared with those of other images"):
        from_params({"batch_size": 1}, config)


def test_looks_are_judged_alike_however_gentle_those_of_the_training_are(config):
    images = TASK.open_data(config).validation
    gentle = from_params({"smallest_crop_area": 1.0, "colour_strength": 0.0}, config)
    views = [next(iter(TASK.evaluation_batches(each, images, torch.device("cpu"))))[0] for each in (config, gentle)]
    assert torch.equal(*views)
