"""The dishes workload: every section of its configuration does something, and the whole learns."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from trainable.config import from_params
from trainable.data.classes.folder import open_class_folder
from trainable.data.io.image_cache import CACHE_VARIABLE
from trainable.run_setup import open_run
from trainable.tasks.dishes import DishesTask
from trainable.tasks.registry import get_task
from trainable.training_run import TrainingRun
from trainable.workloads.exported_config import ExportedConfig

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Opens small data sets; each configuration's once."""
    cache = tmp_path_factory.mktemp("cache")

    def open_it(**params):
        config = from_params({"max_epochs": 2, "batch_size": 16} | params, DishesTask().default_config())
        plates = replace(config.data.plates, plate_size_px=32, num_train=40, num_validation=20, num_test=20)
        config = replace(config, data=replace(config.data, plates=plates))
        splits = DishesTask().open_data(config, cache_dir=cache)
        return DishesTask().adapt_to_data(config, splits), splits

    return open_it


def first_epoch(opened, **params):
    run = TrainingRun(*opened(**params))
    return run, run.run_epoch()


def test_the_configuration_takes_classes_and_counts_from_the_training_split(opened):
    config, splits = opened()
    assert config.model.class_names == ("clean", "dirty")
    assert config.loss.class_counts == splits.train.class_counts() == (32, 16)
    assert opened(dirty_variants=False)[0].loss.class_counts == (32, 8)


def test_an_epoch_has_the_announced_metrics_and_those_of_each_class(opened):
    _, result = first_epoch(opened)
    assert set(DishesTask.metric_names) <= result.metrics.keys()
    assert {"val/f1_clean", "val/f1_dirty", "val/recall_dirty", "train/accuracy"} <= result.metrics.keys()
    assert result.objective == result.metrics["val/macro_f1"]


@pytest.mark.parametrize(
    "change",
    [
        {"class_weights": "none"},
        {"focal_gamma": 2.0},
        {"label_smoothing": 0.1},
        {"dropout": 0.5},
        {"augmentation": False},
        {"severity": "light"},
        {"mixing": True},
        {"averaging": True},
        {"dirty_variants": False},
        {"clean_per_dirty": 1.0},
        {"max_train_batches": 1},
    ],
    ids=lambda change: "-".join(map(str, *change.items())),
)
def test_every_choice_changes_what_is_learned(opened, change):
    def learned(**params):
        run, _ = first_epoch(opened, **params)
        return torch.cat([value.double().flatten() for value in run.handed_over.weights.values()])

    assert not torch.equal(learned(), learned(**change))


def test_a_limit_of_batches_below_one_is_refused():
    with pytest.raises(ValueError, match="max_train_batches is -7; it must be 1 or more"):
        from_params({"max_train_batches": -7}, DishesTask().default_config())


def test_a_limit_of_batches_limits_the_updates_of_an_epoch(opened):
    assert first_epoch(opened, max_train_batches=2)[0].trainer.global_step == 2
    assert first_epoch(opened)[0].trainer.global_step == 3


def test_averaged_views_judge_the_final_test_and_nothing_else(opened):
    plain, averaged = TrainingRun(*opened()), TrainingRun(*opened(test_time_augmentation=True))
    assert plain.run_epoch().metrics == averaged.run_epoch().metrics
    assert plain.test()["nll"] != averaged.test()["nll"]
    assert averaged.run_epoch().metrics == plain.run_epoch().metrics


def test_a_resumed_run_continues_to_the_bit_with_augmentation_and_mixing(opened, tmp_path):
    params = {"mixing": True, "mixing_probability": 1.0, "averaging": True}
    straight = TrainingRun(*opened(**params))
    straight.run_epoch()
    straight.save(tmp_path / "checkpoint.pt")
    resumed = TrainingRun(*opened(**params))
    resumed.restore(tmp_path / "checkpoint.pt")
    assert resumed.run_epoch().metrics == straight.run_epoch().metrics


def test_variants_of_a_folder_follow_how_its_images_are_read(tmp_path):
    for number in range(9):
        file = tmp_path / "dishes" / ("clean", "dirty")[number % 3 == 0] / f"plate_{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 255, (40, 60, 3), np.uint8)).save(file)
    default = DishesTask().default_config(str(tmp_path / "dishes"))

    def images(**params):
        return DishesTask().open_data(from_params(params, default), cache_dir=tmp_path / "cache").train.images

    cropped = images(image_size_px=32)
    assert images(image_size_px=48).shape == (*cropped.shape[:1], 48, 48, 3)
    assert not np.array_equal(images(image_size_px=32, resize="squash"), cropped)


def test_what_a_folder_s_check_found_is_kept_beside_what_the_variants_reached(tmp_path):
    for number in range(10):
        file = tmp_path / "dishes" / ("clean", "dirty")[number % 2] / f"plate_{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 255, (32, 32, 3), np.uint8)).save(file)
    (tmp_path / "dishes" / "clean" / "notes.xyz").write_text("not a picture")
    config = DishesTask().default_config(str(tmp_path / "dishes"))
    found = DishesTask().open_data(config, cache_dir=tmp_path / "cache").findings
    alone = open_class_folder(tmp_path / "dishes", config.data.options, cache_dir=tmp_path / "cache").findings
    assert alone
    assert found[:-1] == alone
    assert "drawn variants" in found[-1].problem


def test_data_of_other_classes_is_refused(opened):
    config, splits = opened()
    config = replace(config, model=replace(config.model, class_names=("a", "b")))
    with pytest.raises(ValueError, match="found on a, b; search that data again"):
        TrainingRun(config, splits)


def test_other_data_on_purpose_brings_its_own_counts(opened, monkeypatch, tmp_path):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    config, splits = opened()
    stale = replace(config, loss=replace(config.loss, class_counts=(1, 1)))
    assert open_run(ExportedConfig(config=stale, data_fingerprint={})).config.loss.class_counts == (32, 16)
    found_on = ExportedConfig(config=stale, data_fingerprint=splits.fingerprint)
    assert open_run(found_on).config.loss.class_counts == (1, 1)


def test_the_real_plates_train(tmp_path):
    if not (SHARED / "dishes").is_dir():
        pytest.skip("the real plates are not beside the project")
    task = get_task("dishes")
    config = from_params({"max_epochs": 1, "image_size_px": 32}, task.default_config(str(SHARED / "dishes")))
    splits = task.open_data(config, cache_dir=tmp_path)
    config = task.adapt_to_data(config, splits)
    assert config.model.class_names == ("clean_labeled", "dirty_labeled")
    assert any("_dirty_" in name for name in splits.train.names)
    run = TrainingRun(config, splits)
    run.run_epoch()
    assert 0 <= run.test()["macro_f1"] <= 1


def test_classes_of_other_names_get_no_dirty_variants_and_a_note_says_so(tmp_path, caplog):
    rng = np.random.default_rng(0)
    for name in ("defective", "functional"):
        folder = tmp_path / "cells" / name
        folder.mkdir(parents=True)
        for number in range(10):
            Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    config = DishesTask().default_config(str(tmp_path / "cells"))
    with caplog.at_level("INFO"):
        splits = DishesTask().open_data(config, cache_dir=tmp_path / "cache")
    assert "has the classes defective, functional; dirty variants are drawn where" in caplog.text
    assert splits.train.class_counts() == (6, 6)
    adapted = DishesTask().adapt_to_data(config, splits)
    assert adapted.dirty_variants is None
    asked = from_params({"clean_per_dirty": 1.0}, config)
    with pytest.raises(ValueError, match="rename the folders, or set dirty_variants=false"):
        DishesTask().open_data(asked, cache_dir=tmp_path / "cache")
