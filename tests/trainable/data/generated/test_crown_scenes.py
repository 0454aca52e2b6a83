"""Drawn tiles: exact masks, always the same, and what batches make of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from trainable.data.crowns.batches import CrownEvaluationBatches, CrownTrainingBatches, boxes_around, resize_batch
from trainable.data.generated.crown_scenes import SEMANTIC_CLASSES, CrownSceneConfig, crown_scene_splits, draw_tile
from trainable.techniques.progressive_resolution import ProgressiveResolutionConfig

CONFIG = CrownSceneConfig(tile_px=64, num_train=10, num_validation=3, num_test=3)


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    return crown_scene_splits(CONFIG, tmp_path_factory.mktemp("cache"))


def whole_masks(tile):
    masks = np.zeros((len(tile.crowns), 64, 64), bool)
    for whole, crown in zip(masks, tile.crowns, strict=True):
        left, top, right, bottom = crown.box
        whole[top:bottom, left:right] = crown.mask
    return masks


def test_crowns_are_those_pixels_that_the_classes_call_canopy_and_none_is_two_crowns():
    for index in range(6):
        tile = draw_tile(CONFIG, "train", index)
        masks = whole_masks(tile)
        canopy = tile.semantic >= SEMANTIC_CLASSES.index("cacao canopy")
        assert (masks.any(axis=0) == canopy).all()
        assert masks.sum(axis=0).max() == 1
        assert all(mask.sum() >= 20 for mask in masks)


def test_a_tile_depends_on_its_place_alone_and_another_seed_is_another_data_set():
    one, again = draw_tile(CONFIG, "test", 5), draw_tile(replace(CONFIG, num_test=50), "test", 5)
    assert one.digest == again.digest
    assert draw_tile(replace(CONFIG, seed=1), "test", 5).digest != one.digest
    assert draw_tile(CONFIG, "train", 5).digest != one.digest


def test_the_cache_gives_back_what_was_drawn(splits):
    for row in (0, 7):
        drawn = draw_tile(CONFIG, "train", row)
        assert (splits.train.images[row] == drawn.image).all()
        assert (splits.train.semantic[row] == drawn.semantic).all()
        for crown, expected in zip(splits.train.crowns_of(row), drawn.crowns, strict=True):
            assert (crown.label, crown.box) == (expected.label, expected.box)
            assert (crown.mask == expected.mask).all()
    assert splits.test.crowns_of(2)[0].box == draw_tile(CONFIG, "test", 2).crowns[0].box


def epoch(splits, number=0, **options):
    batches = CrownTrainingBatches(splits.train, **{"batch_size": 4, "seed": 0} | options)
    batches.set_epoch(number)
    return list(batches)


def test_an_epoch_shows_every_tile_once_in_an_order_of_its_own(splits):
    first, second = epoch(splits, 0), epoch(splits, 1)
    assert [len(images) for images, _ in first] == [4, 4, 2]
    trees = [
        sorted(len(target["labels"]) for _, targets in batches for target in targets) for batches in (first, second)
    ]
    assert trees[0] == trees[1] == sorted(np.diff(splits.train.first_crown).tolist())
    assert not torch.equal(first[0][0], second[0][0])
    assert torch.equal(first[0][0], epoch(splits, 0)[0][0])


def test_no_tile_is_alone_in_a_training_batch(splits):
    assert [len(images) for images, _ in epoch(splits, batch_size=9)] == [8, 2]


def test_image_masks_boxes_and_classes_are_turned_together(splits):
    for images, targets in epoch(splits):
        for image, target in zip(images, targets, strict=True):
            assert torch.equal(target["boxes"], boxes_around(target["masks"]))
            canopy = target["semantic"] >= SEMANTIC_CLASSES.index("cacao canopy")
            assert torch.equal(target["masks"].bool().any(dim=0), canopy)
            assert image[:, canopy].mean() < image[:, target["semantic"] == 0].mean()


def test_boxes_touch_their_masks_on_every_side():
    masks = torch.zeros(2, 9, 12, dtype=torch.uint8)
    masks[0, 2:5, 3:11] = 1
    masks[1, 8, 0] = 1
    assert boxes_around(masks).tolist() == [[3, 2, 11, 5], [0, 8, 1, 9]]
    assert boxes_around(masks[:0]).shape == (0, 4)


def test_evaluation_shows_the_tiles_as_they_are(splits):
    ((images, targets),) = CrownEvaluationBatches(splits.validation, batch_size=8)
    assert torch.equal(images[1], torch.from_numpy(np.array(splits.validation.images[1])).permute(2, 0, 1) / 255)
    assert targets[1]["boxes"].tolist() == [list(crown.box) for crown in splits.validation.crowns_of(1)]


def test_the_first_stage_trains_on_small_images_and_the_second_on_whole_ones(splits):
    resolution = ProgressiveResolutionConfig(low_resolution_fraction=0.5, low_resolution_scale=0.5).build(4)
    sides = [{len(images[0, 0]) for images, _ in epoch(splits, number, resolution=resolution)} for number in range(4)]
    assert sides == [{32}, {32}, {64}, {64}]
    images, targets = epoch(splits, 0, resolution=resolution)[0]
    for target in targets:
        assert torch.equal(target["boxes"], boxes_around(target["masks"]))
        assert len(target["labels"]) == len(target["masks"])
        assert target["semantic"].shape == images.shape[-2:] == (32, 32)


def test_a_crown_that_vanishes_at_low_resolution_is_not_asked_for():
    masks = torch.zeros(2, 64, 64, dtype=torch.uint8)
    masks[0, 0, 0], masks[1, 8:24, 8:24] = 1, 1
    target = {"masks": masks, "labels": torch.tensor([1, 2]), "semantic": torch.zeros(64, 64, dtype=torch.int64)}
    _, (small,) = resize_batch((torch.rand(1, 3, 64, 64), [target]), 32)
    assert small["labels"].tolist() == [2]
    assert small["boxes"].tolist() == [[4, 4, 12, 12]]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"tile_px": 50}, "tile_px is 50; give a multiple of 16"),
        ({"noise": 0.5}, "noise is 0.5"),
        ({"mean_crowns": 0}, "mean_crowns is 0"),
        ({"num_test": 0}, "num_test is 0; give 1"),
    ],
)
def test_tiles_that_cannot_be_drawn_are_refused(fields, sentence):
    with pytest.raises(ValueError, match=sentence):
        CrownSceneConfig(**fields)


@pytest.mark.parametrize("fields", [{"low_resolution_fraction": 1.1}, {"low_resolution_scale": 0.1}])
def test_stages_that_are_none_are_refused(fields):
    with pytest.raises(ValueError, match=next(iter(fields))):
        ProgressiveResolutionConfig(**fields)
