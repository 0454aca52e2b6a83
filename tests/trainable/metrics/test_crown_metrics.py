"""Crown metrics against numbers that can be worked out by hand, and pycocotools' own evaluation."""

import numpy as np
import pytest
import torch
from pycocotools import mask as run_lengths
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from trainable.metrics.crowns import METRIC_NAMES, CrownMetrics, CrownScores, mean_iou, shade_distribution

SIDE = 20


def box_mask(left, top, right, bottom):
    mask = torch.zeros(SIDE, SIDE, dtype=torch.uint8)
    mask[top:bottom, left:right] = 1
    return mask


def crowns(*boxes, labels=None, scores=None):
    masks = torch.stack([box_mask(*box) for box in boxes]) if boxes else torch.zeros(0, SIDE, SIDE, dtype=torch.uint8)
    found = {
        "boxes": torch.tensor(boxes).float().reshape(-1, 4),
        "labels": torch.tensor(labels or [1] * len(boxes), dtype=torch.int64),
        "masks": masks,
    }
    return found if scores is None else found | {"scores": torch.tensor(scores)}


def accumulated(detections, targets, *, semantic=0, num_trees=0.0, crown=False):
    """Images with these detections and constant maps."""
    metrics = CrownMetrics(num_kinds=2, num_classes=3)
    size = (len(targets), SIDE, SIDE)
    scores = CrownScores(
        detections=detections,
        semantic=torch.full(size, semantic),
        crown=torch.full(size, crown),
        num_trees=torch.full((len(targets),), num_trees),
    )
    whole = {"semantic": torch.zeros(SIDE, SIDE, dtype=torch.int64), "has_instances": torch.tensor(True)}
    metrics.update(scores, [whole | target for target in targets])
    return metrics


def judged(*arguments, **maps):
    return accumulated(*arguments, **maps).compute()


def test_perfect_crowns_score_one_and_every_promised_metric_is_there():
    truth = crowns((0, 0, 10, 10), (10, 10, 20, 20), labels=[1, 2])
    result = judged([truth | {"scores": torch.tensor([0.9, 0.8])}], [truth], num_trees=2.0)
    assert (result["map_50"], result["map_75"], result["map"]) == pytest.approx((1, 1, 1))
    assert (result["count_error"], result["shade_distance"], result["semantic_miou"]) == (0, 0, 1)
    assert set(result) == set(METRIC_NAMES)


def test_a_canopy_found_nowhere_or_everywhere_is_constant_unless_there_is_none():
    one, none = crowns((0, 0, 10, 10)), crowns()
    nothing = crowns(scores=[])
    for crown in (False, True):
        assert judged([nothing] * 2, [one, none], crown=crown)["constant_share"] == 0.5


def test_an_overlap_of_68_percent_counts_at_one_half_and_not_at_three_quarters():
    result = judged([crowns((0, 0, 17, 4), scores=[0.9])], [crowns((0, 0, 20, 5))])
    assert result["map_50"] == pytest.approx(1)
    assert result["map_75"] == pytest.approx(0)
    assert result["map"] == pytest.approx(4 / 10)


def test_what_is_found_on_an_image_without_crowns_is_wrong():
    crown = (0, 0, 10, 10)
    found = [crowns(crown, scores=[0.8]), crowns(crown, scores=[0.9])]
    assert judged(found, [crowns(crown), crowns()])["map_50"] == pytest.approx(1 / 2), "one of two, the surer one wrong"
    nothing = crowns(scores=[])
    assert judged([found[0], nothing], [crowns(crown), crowns()])["map_50"] == pytest.approx(1)
    assert judged([found[1]], [crowns()])["map_50"] == 0


def test_mean_average_precision_is_that_of_the_reference_over_crowded_random_images():
    rng = np.random.default_rng(0)
    truths, found = [], []
    for _ in range(6):
        boxes = [(x, y, x + w, y + h) for x, y, w, h in rng.integers([0, 0, 4, 4], [12, 12, 9, 9], (7, 4))]
        moved = [(max(0, a - 1), b, c, d + int(rng.integers(0, 2))) for a, b, c, d in boxes]
        labels = rng.integers(1, 3, 7).tolist()
        truths.append(crowns(*boxes, labels=labels))
        found.append(crowns(*moved, labels=rng.permutation(labels).tolist(), scores=rng.random(7).tolist()))
    result = judged(found, truths)
    expected = reference_precision(truths, found)
    assert (result["map"], result["map_50"], result["map_75"]) == pytest.approx(tuple(expected), abs=1e-6)
    assert 0.05 < result["map_50"] < 0.95


def reference_precision(truths, found):
    """AP, AP50 and AP75 as COCO's own code gives them from its own files."""

    def entries(images):
        rows = []
        for image, crown in enumerate(images):
            for row, mask in enumerate(crown["masks"].numpy()):
                encoded = run_lengths.encode(np.asfortranarray(mask))
                entry = {"id": len(rows) + 1, "image_id": image, "category_id": int(crown["labels"][row])}
                entry |= {"segmentation": encoded, "area": float(mask.sum()), "iscrowd": 0}
                entry |= {"bbox": run_lengths.toBbox(encoded).tolist()}
                rows.append(entry | ({"score": float(crown["scores"][row])} if "scores" in crown else {}))
        return rows

    truth = COCO()
    truth.dataset = {
        "images": [{"id": image, "height": SIDE, "width": SIDE} for image in range(len(truths))],
        "annotations": entries(truths),
        "categories": [{"id": 1}, {"id": 2}],
    }
    truth.createIndex()
    predictions = COCO()
    predictions.dataset = truth.dataset | {"annotations": entries(found)}
    predictions.createIndex()
    evaluation = COCOeval(truth, predictions, "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats[:3]


def test_a_count_is_off_by_its_mean_absolute_error_over_the_images():
    result = judged([crowns(scores=[]), crowns(scores=[])], [crowns((0, 0, 4, 4)), crowns()], num_trees=2.5)
    assert result["count_error"] == pytest.approx((1.5 + 2.5) / 2)


def test_the_canopy_is_pooled_over_the_images_before_it_is_divided():
    targets = [crowns((0, 0, 10, 20)), crowns((0, 0, 20, 20))]
    result = judged([crowns(scores=[])] * 2, targets, crown=True)
    assert result["canopy_iou"] == pytest.approx((200 + 400) / (400 + 400))


def test_overlapping_crowns_shade_a_pixel_once_the_surest_first():
    found = crowns((0, 0, 10, 20), (0, 0, 20, 10), labels=[2, 1])
    assert shade_distribution(found["masks"], found["labels"], 2).tolist() == pytest.approx([0.25, 0.5, 0.25])


def test_the_shade_distance_is_the_share_that_stands_elsewhere_and_unsure_crowns_do_not_count():
    truth = crowns((0, 0, 10, 20), labels=[1])
    sure = judged([crowns((0, 0, 10, 20), labels=[2], scores=[0.9])], [truth])
    assert sure["shade_distance"] == pytest.approx(0.5)
    unsure = judged([crowns((0, 0, 10, 20), labels=[1], scores=[0.4])], [truth])
    assert unsure["shade_distance"] == pytest.approx(0.5)


def test_the_mean_iou_is_over_classes_that_occur():
    assert mean_iou(torch.tensor([[6, 2, 0], [0, 4, 0], [0, 0, 0]])) == pytest.approx((6 / 8 + 4 / 6) / 2)


def test_what_is_annotated_nowhere_is_left_out():
    nothing = crowns() | {"has_instances": torch.tensor(False)}
    assert judged([crowns(scores=[])], [nothing]).keys() == {"semantic_miou"}
    void = crowns((0, 0, 4, 4)) | {"semantic": torch.full((SIDE, SIDE), 255)}
    assert "semantic_miou" not in judged([crowns(scores=[])], [void])


def test_what_several_processes_accumulated_is_judged_as_one():
    truths = [crowns((0, 0, 10, 10)), crowns((4, 4, 12, 12), (12, 12, 20, 20), labels=[1, 2])]
    found = [crowns((0, 0, 10, 8), scores=[0.6]), crowns((12, 12, 20, 20), labels=[2], scores=[0.8])]
    whole = judged(found, truths, num_trees=1.5, crown=True)
    parts = [accumulated(found[rank:][:1], truths[rank:][:1], num_trees=1.5, crown=True) for rank in (0, 1)]
    states = [part.state_dict() for part in parts]
    for part in parts:
        part.merge(states)
        assert part.compute() == whole
