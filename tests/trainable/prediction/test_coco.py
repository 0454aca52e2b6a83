"""COCO's own reader sees the masks and boxes that were found."""

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from trainable.prediction.coco import coco_images, coco_result, run_lengths
from trainable.prediction.crown_merging import FoundCrown


def crown_of(mask, *, left, top, label=1, score=0.75):
    height, width = mask.shape
    extent = (left, top, left + width, top + height)
    return FoundCrown(label=label, score=score, box=tuple(map(float, extent)), extent=extent, mask=mask)


def whole(crown, size):
    picture = np.zeros(size, np.uint8)
    left, top, right, bottom = crown.extent
    picture[top:bottom, left:right] = crown.mask
    return picture


@pytest.mark.parametrize(("left", "top"), [(0, 0), (7, 5), (24, 18)])
@pytest.mark.parametrize("density", [0.1, 0.6, 1.0])
def test_run_lengths_are_those_that_coco_encodes_of_the_whole_mask(left, top, density):
    mask = np.random.default_rng(0).random((12, 6)) < density
    crown, size = crown_of(mask, left=left, top=top), (30, 30)
    assert (
        run_lengths(crown, size)["counts"].encode() == coco_mask.encode(np.asfortranarray(whole(crown, size)))["counts"]
    )


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning:pycocotools")
def test_results_load_beside_their_images_with_names_boxes_scores_and_masks(tmp_path):
    rows = [{"picture": f"{name}.png", "height_px": "20", "width_px": "30"} for name in ("one", "two")]
    crown = crown_of(np.ones((4, 5), bool), left=10, top=3, label=2)
    (tmp_path / "images.json").write_text(json.dumps(coco_images(rows, ("cacao", "palm"))))
    (tmp_path / "results.json").write_text(json.dumps([{"image_id": 2, **coco_result(crown, (20, 30))}]))
    data = COCO(str(tmp_path / "images.json"))
    (annotation,) = data.loadRes(str(tmp_path / "results.json")).anns.values()
    assert data.imgs[annotation["image_id"]]["file_name"] == "two.png"
    assert data.cats[annotation["category_id"]]["name"] == "palm"
    assert (annotation["bbox"], annotation["score"], annotation["area"]) == ([10, 3, 5, 4], 0.75, 20)
    np.testing.assert_array_equal(data.annToMask(annotation), whole(crown, (20, 30)))
