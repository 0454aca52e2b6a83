"""Both leaf workloads on a few embedded leaves: pre-training, fine-tuning from it, and the final test."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from trainable.config import from_params
from trainable.data.classes.labelled_images import MISSING
from trainable.data.generated.leaf_pictures import LeafPictureConfig
from trainable.tasks.leaf_data import LeafData, labelled_part
from trainable.tasks.registry import get_task
from trainable.training_run import TrainingRun

LEAVES = LeafPictureConfig(picture_px=32, num_train=20, num_unlabelled=12, num_validation=10, num_test=15)
RICE = next(
    (path / "shared/data/rice_leaf" for path in Path(__file__).resolve().parents if (path / "shared").is_dir()), None
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def opened(cache):
    """A workload's configuration on the few leaves, with some parameters changed, and its data."""

    def open_task(name, **params):
        task = get_task(name)
        default = task.default_config()
        config = from_params({"max_epochs": 2, "batch_size": 8} | params, default)
        config = replace(config, data=replace(config.data, leaves=LEAVES))
        splits = task.open_data(config, cache_dir=cache)
        return task.adapt_to_data(config, splits), splits

    return open_task


def trained(config, splits):
    run = TrainingRun(config, splits)
    results = []
    while run.ending is None:
        results.append(run.run_epoch())
    return run, results


@pytest.fixture(scope="module")
def pre_trained(opened, tmp_path_factory):
    run, results = trained(*opened("leaf_pretrain"))
    path = tmp_path_factory.mktemp("best") / "weights.pt"
    torch.save(run.handed_over.weights, path)
    return run, results, path


@pytest.mark.parametrize("name", ["leaf", "leaf_pretrain"])
def test_every_metric_that_is_promised_is_measured(name, opened, pre_trained):
    results = pre_trained[1] if name == "leaf_pretrain" else trained(*opened("leaf", max_epochs=1))[1]
    task = get_task(name)
    assert set(task.metric_names) <= results[-1].metrics.keys()
    assert results[-1].objective == results[-1].metrics[task.objective]


def test_pre_training_sees_every_leaf_and_no_label(opened, pre_trained):
    config, splits = opened("leaf_pretrain")
    assert len(splits.train) == 32
    blinded = replace(splits, train=replace(splits.train, labels=splits.train.labels * 0 + MISSING))
    run, _ = trained(config, blinded)
    for name, weight in run.handed_over.weights.items():
        assert torch.equal(weight, pre_trained[0].handed_over.weights[name]), name


def test_probes_learn_from_labelled_training_leaves_alone(opened):
    _, splits = opened("leaf_pretrain")
    for part in (splits.validation, splits.test):
        assert part.bank.names == splits.train.names[:20]
        assert set(part.bank.names).isdisjoint(part.queries.names)
    assert len(splits.test) == 15


def test_a_part_batch_of_leaves_is_left_out_of_pre_training(opened):
    config, splits = opened("leaf_pretrain", batch_size=12)
    batches = get_task("leaf_pretrain").training_batches(config, splits.train, torch.device("cpu"))
    assert [len(images) for images, _ in batches] == [12, 12]


def test_fine_tuning_starts_from_the_pre_trained_encoder(opened, pre_trained):
    run, _, path = pre_trained
    config, splits = opened("leaf", weights=str(path))
    classifier = TrainingRun(config, splits).trainer.model
    for name, weight in classifier.backbone.state_dict().items():
        torch.testing.assert_close(weight, run.handed_over.weights[f"backbone.{name}"])
    assert len(splits.train) == 20, "leaves without a label are of no use here"


def test_the_final_test_averages_looks_and_calibrates_and_an_epoch_does_neither(opened, monkeypatch):
    config, splits = opened("leaf", max_epochs=1)
    run, results = trained(config, splits)
    forwards = []
    run.trainer.model.register_forward_hook(
        lambda module, inputs, output: None if module.training else forwards.append(len(inputs[0]))
    )
    final = run.test()
    assert sum(forwards) == 10 * (len(splits.validation) + len(splits.test)), "ten views of every image"
    assert final.keys() >= {"ece", "calibrated_ece", "calibrated_nll", "temperature", "macro_f1"}
    assert "val/temperature" not in results[0].metrics
    forwards.clear()
    run.run_epoch()
    assert sum(forwards) == len(splits.validation)


def test_without_looks_the_final_test_is_one_pass(opened):
    config, splits = opened("leaf", max_epochs=1, test_time_augmentation=False)
    run, _ = trained(config, splits)
    single = run.test()
    metrics = get_task("leaf").build_metrics(config, final=True)
    batches = get_task("leaf").evaluation_batches(config, splits.test, torch.device("cpu"))
    assert run.trainer.evaluate(batches, metrics=metrics).metrics["accuracy"] == single["accuracy"]


@pytest.mark.parametrize(
    "params",
    [
        {"mixing": True, "mixing_probability": 1.0},
        {"severity": "aggressive"},
        {"augmentation": False},
        {"spectral_attention": True},
        {"drop_path": 0.3},
        {"focal_gamma": None, "label_smoothing": 0.0, "focal_share": 1.0},
        {"focal_share": 0.9},
        {"class_weights": "inverse", "labels_per_class": 2},
    ],
    ids=str,
)
def test_every_option_changes_the_training(params, opened):
    losses = [trained(*opened("leaf", max_epochs=1, **given))[1][0].metrics["train/loss"] for given in ({}, params)]
    assert losses[0] != losses[1]


@pytest.mark.parametrize("name", ["leaf", "leaf_pretrain"])
def test_a_run_continues_from_its_checkpoint_to_the_bit(name, opened, tmp_path):
    params = {"averaging": True} | ({"mixing": True} if name == "leaf" else {})
    config, splits = opened(name, **params)
    whole, results = trained(config, splits)
    first = TrainingRun(config, splits)
    first.run_epoch()
    first.save(tmp_path / "checkpoint.pt")
    second = TrainingRun(config, splits)
    second.restore(tmp_path / "checkpoint.pt")
    assert second.run_epoch().metrics == results[1].metrics
    assert all(
        torch.equal(weight, whole.handed_over.weights[name]) for name, weight in second.handed_over.weights.items()
    )


def test_labels_per_class_keeps_the_first_few_of_each(opened):
    _, splits = opened("leaf")
    few = labelled_part(splits.train, 2)
    assert few.class_counts() == (2, 2, 2, 2, 2)
    assert set(few.names) <= set(splits.train.names)
    assert labelled_part(splits.train) is splits.train


def test_other_classes_than_the_configurations_are_refused(opened):
    config, splits = opened("leaf")
    other = replace(splits.test, class_names=("a", "b", "c", "d", "e"))
    with pytest.raises(ValueError, match="The classes of leaves are a, b, c, d, e"):
        get_task("leaf").evaluation_batches(config, other, torch.device("cpu"))


@pytest.mark.skipif(RICE is None or not RICE.is_dir(), reason="the rice leaves are not on this machine")
def test_the_rice_leaves_are_read_past_their_annotation_files(tmp_path):
    task = get_task("leaf")
    config = task.default_config(str(RICE))
    splits = task.open_data(replace(config, data=replace(config.data, image_size_px=32)), cache_dir=tmp_path)
    parts = (splits.train, splits.validation, splits.test)
    assert splits.train.class_names == ("bacterial_leaf_blight", "blast", "brownspot")
    assert sum(len(part) for part in parts) == 276
    assert all(min(part.class_counts()) > 0 for part in parts)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: LeafData(labels_per_class=0), "labels_per_class is 0"),
        (lambda: LeafData(split_seed=3), "drawn, not divided"),
        (lambda: from_params({"batch_size": 1}, get_task("leaf_pretrain").default_config()), "give 2 or more"),
        (lambda: from_params({"views": False}, get_task("leaf_pretrain").default_config()), "views is None"),
    ],
)
def test_a_wrong_setting_is_a_sentence(build, sentence):
    with pytest.raises(ValueError, match=sentence):
        build()


def test_a_pre_training_without_classes_is_refused():
    with pytest.raises(ValueError, match="num_classes is -7; it must be 1 or more"):
        from_params({"num_classes": -7}, get_task("leaf_pretrain").default_config())
