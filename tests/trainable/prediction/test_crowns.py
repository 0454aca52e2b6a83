"""Crowns of a picture are those of the evaluation, tile by tile, and each is counted once."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask

from trainable.data.generated.crown_scenes import CrownSceneConfig
from trainable.models.crown_net import CrownOutput
from trainable.prediction.coco import run_lengths
from trainable.prediction.crown_merging import FoundCrown
from trainable.prediction.crowns import CrownsPrediction, CrownsPredictor
from trainable.tasks.registry import get_task

TILE_PX = 64


@pytest.fixture(scope="module")
def task():
    return get_task("agroforestry")


@pytest.fixture(scope="module")
def config(task):
    default = task.default_config()
    tiles = CrownSceneConfig(tile_px=TILE_PX, num_train=1, num_validation=1, num_test=3)
    return replace(default, data=replace(default.data, generator=tiles), batch_size=4)


@pytest.fixture(scope="module")
def net(task, config):
    torch.manual_seed(3)
    return task.build_model(config).eval()


@torch.no_grad()
def test_a_picture_of_one_tile_is_predicted_as_in_the_evaluation(task, config, net, tmp_path):
    data = task.open_data(config, cache_dir=tmp_path).test
    ((images, targets),) = task.evaluation_batches(config, data, torch.device("cpu"))
    scores = task.build_supervision(config).evaluate(net, images, targets).scores
    for row in range(len(data)):
        prediction = task.predictor(config)(net, Image.fromarray(np.array(data.images[row])))
        scored = scores.detections[row]
        shown = scored["masks"].flatten(1).bool().any(1)
        assert shown.any()
        assert [crown.label for crown in prediction.crowns] == scored["labels"][shown].tolist()
        torch.testing.assert_close(torch.tensor([c.score for c in prediction.crowns]), scored["scores"][shown])
        torch.testing.assert_close(torch.tensor([c.box for c in prediction.crowns]), scored["boxes"][shown])
        for crown, mask in zip(prediction.crowns, scored["masks"][shown].numpy(), strict=True):
            assert (
                run_lengths(crown, prediction.size)["counts"]
                == coco_mask.encode(np.asfortranarray(mask))["counts"].decode()
            )
        assert prediction.num_trees == pytest.approx(float(scores.num_trees[row]), rel=1e-5)
        assert prediction.canopy_share == pytest.approx(float(scores.crown[row].float().mean()))


def bright_crowns(images):
    """Stands in for the network: one sure crown of the second kind a tile, its brightest red pixels; tree is light."""
    masks = images[:, :1] > 0.9
    detections = []
    for mask in masks:
        rows, columns = torch.nonzero(mask[0], as_tuple=True)
        some = len(rows) > 0
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if some else []
        detections.append(
            {
                "boxes": torch.tensor(box).float().reshape(-1, 4),
                "labels": torch.full((int(some),), 2),
                "scores": torch.full((int(some),), 0.9),
                "masks": mask[: int(some)].to(torch.uint8),
            }
        )
    size = images.shape[-1]
    return CrownOutput(
        predictions=torch.zeros(len(images), 2, size, size),
        crown_logits=masks[:, 0].float() - 0.5,
        density=torch.nn.functional.avg_pool2d(masks.float(), 4)[:, 0] * 1000,
        detections=detections,
    )


@pytest.mark.parametrize("box", [(50, 20, 70, 40), (40, 30, 100, 90), (3, 3, 9, 9)])
def test_a_crown_on_the_border_of_tiles_is_found_and_counted_once(box):
    pixels = np.zeros((110, 130, 3), np.uint8)
    left, top, right, bottom = box
    pixels[top:bottom, left:right] = 255
    predictor = CrownsPredictor(kinds=("cacao", "palm"), tile_px=64, overlap_px=16, batch_size=3)
    progress = []
    prediction = predictor(bright_crowns, Image.fromarray(pixels), lambda done, total: progress.append((done, total)))
    (crown,) = prediction.crowns
    assert (crown.extent, crown.box) == (box, tuple(map(float, box)))
    np.testing.assert_array_equal(crown.within((0, 0, 130, 110)), pixels[..., 0] > 0)
    assert prediction.canopy_share == pytest.approx((pixels[..., 0] > 0).mean())
    assert prediction.num_trees == pytest.approx((pixels[..., 0] > 0).sum(), rel=0.1)
    assert prediction.row() | {"trees_by_density": 0} == {
        "height_px": 110,
        "width_px": 130,
        "num_crowns": 1,
        "trees_by_density": 0,
        "canopy_share": pytest.approx((pixels[..., 0] > 0).mean(), abs=1e-6),
        "num_cacao": 0,
        "num_palm": 1,
    }
    assert progress[-1] == (6, 6)


def test_what_a_picture_smaller_than_a_tile_lacks_is_no_part_of_the_prediction():
    pixels = np.full((40, 50, 3), 255, np.uint8)
    predictor = CrownsPredictor(kinds=("cacao", "palm"), tile_px=64, overlap_px=16, batch_size=3)
    prediction = predictor(lambda images: bright_crowns(1 - images), Image.fromarray(pixels * 0))
    (crown,) = prediction.crowns
    assert (prediction.size, crown.extent, prediction.canopy_share) == ((40, 50), (0, 0, 50, 40), 1.0)
    assert prediction.num_trees == pytest.approx(40 * 50)


def test_sure_crowns_are_drawn_in_the_colour_of_their_kind_and_nothing_else_changes():
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[10:30, 10:40] = 255
    predictor = CrownsPredictor(kinds=("cacao", "palm"), tile_px=64, overlap_px=16, batch_size=3)
    prediction = predictor(bright_crowns, Image.fromarray(pixels))
    picture = torch.full((3, 512, 512), 100, dtype=torch.uint8)
    drawn = prediction.draw(picture)[:, -512:]
    inside = drawn[:, 200, 150].tolist()
    assert inside != [100, 100, 100]
    assert (drawn[:, 300:] == 100).all()
    unsure = replace(prediction, crowns=tuple(replace(crown, score=0.4) for crown in prediction.crowns))
    assert torch.equal(unsure.draw(picture), picture)


def test_a_picture_without_a_sure_crown_says_what_was_found_below():
    mask = np.ones((2, 2), bool)
    crown = FoundCrown(label=1, score=0.31, box=(0.0, 0.0, 2.0, 2.0), extent=(0, 0, 2, 2), mask=mask)
    prediction = CrownsPrediction(size=(4, 4), crowns=(crown,), kinds=("tree",), num_trees=0.0, canopy_share=0.25)
    assert prediction.in_words() == (
        "crowns: 0 tree (1 below score 0.5, the best 0.31); 0.0 trees by density, 25.0 % canopy"
    )


def test_a_kind_with_the_name_of_a_column_gets_a_column_of_its_own():
    mask = np.ones((2, 2), bool)
    crowns = tuple(
        FoundCrown(label=label, score=0.9, box=(0.0, 0.0, 2.0, 2.0), extent=(0, 0, 2, 2), mask=mask)
        for label in (1, 2, 2)
    )
    row = CrownsPrediction(size=(4, 4), crowns=crowns, kinds=("crowns", "palm"), num_trees=0.0, canopy_share=0.5).row()
    assert (row["num_crowns"], row["kind/num_crowns"], row["num_palm"]) == (3, 1, 2)
