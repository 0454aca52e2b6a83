"""Predictions that look at no image, against what their metrics are by hand."""

import numpy as np
import pytest
import torch

from trainable.data.classes.labelled_images import LabelledImages
from trainable.data.image_mask.image_mask_set import ImageMaskSet
from trainable.data.io.splits import Splits
from trainable.metrics.classification import ClassificationMetrics
from trainable.metrics.crowns import CrownMetrics
from trainable.metrics.grading import GradingMetrics
from trainable.metrics.probes import ProbeMetrics
from trainable.metrics.retrieval import RetrievalMetrics
from trainable.supervision.crowns import crowns_of_others, no_crowns
from trainable.supervision.trivial import (
    class_predictors,
    constant_masks,
    feature_predictors,
    grade_predictors,
    measured_floors,
    object_sizes,
)
from trainable.tasks.registry import get_task

SIDE_PX = 24


def measured(predictor, batches, metrics):
    for _, targets in batches:
        metrics.update(predictor.scores(targets), targets)
    return metrics.compute()


def masks_around(columns):
    """Squares of 8 x 8 pixels in the middle of the height, at these columns."""
    masks = np.zeros((len(columns), SIDE_PX, SIDE_PX), np.uint8)
    for mask, column in zip(masks, columns, strict=True):
        mask[8:16, column : column + 8] = 1
    return masks


def image_masks(columns):
    masks = masks_around(columns)
    images = np.full((*masks.shape, 3), 100, np.uint8)
    return ImageMaskSet.of_arrays(images, masks, [f"{number}" for number in range(len(masks))])


def test_an_empty_mask_misses_as_many_pixels_as_the_objects_have():
    task, data = get_task("moe"), image_masks([0, 8, 16])
    empty, mean = constant_masks(data.masks)
    config = task.default_config()
    batches = task.evaluation_batches(config, data, torch.device("cpu"))
    assert (empty.name, mean.name) == ("an empty mask", "the mean mask")
    metrics = measured(empty, batches, task.build_metrics(config, final=False))
    assert metrics["mae"] == pytest.approx(64 / SIDE_PX**2)
    assert (metrics["iou"], metrics["dice"]) == (0.0, 0.0)


def test_the_floor_of_masks_is_the_better_of_both_constants():
    task = get_task("moe")
    everywhere_alike, all_over = image_masks([8] * 4), image_masks([0, 4, 12, 16])
    floors = []
    for data in (everywhere_alike, all_over):
        splits = Splits(train=data, validation=data, test=data, fingerprint={})
        name, objective, metrics, *_ = task.trivial_floor(task.default_config(), splits, "validation")
        constants = [
            measured(
                one,
                task.evaluation_batches(task.default_config(), data, torch.device("cpu")),
                task.build_metrics(task.default_config(), final=False),
            )["s_measure"]
            for one in constant_masks(data.masks)
        ]
        assert objective == metrics["s_measure"] == max(constants)
        floors.append((name, metrics["s_measure"]))
    assert floors[0] == ("the mean mask", pytest.approx(1.0, abs=1e-6))
    assert floors[1][1] < 0.7


def test_the_mean_mask_is_resized_to_the_masks_that_are_judged():
    _, mean = constant_masks(masks_around([8]))
    scores = mean.scores(torch.zeros(5, 1, 48, 48))
    assert scores.shape == (5, 1, 48, 48)
    assert scores[0, 0, 24, 24] == 1.0


def test_the_sizes_of_the_objects_are_those_of_the_median_image_with_one():
    data = image_masks([0, 8, 16])
    masks = np.concatenate([data.masks, np.zeros_like(data.masks), np.ones_like(data.masks[:1])])
    facts = object_sizes(masks, np.array([[0, 300, 400], [0, 900, 600], [0, 100, 100]]))
    assert facts == pytest.approx({"object_share": 64 / SIDE_PX**2, "object_side_px": 8.0, "file_side_px": 400.0})
    assert object_sizes(np.zeros_like(masks), data.native_table) == {}
    splits = Splits(train=data, validation=data, test=data, fingerprint={})
    floor = get_task("moe").trivial_floor(get_task("moe").default_config(), splits, "validation")
    assert floor.facts["object_side_px"] == pytest.approx(8.0)


def test_the_most_common_class_is_right_as_often_as_it_occurs():
    trivial = class_predictors([1, 7, 2], ["a", "b", "c"])[0]
    assert trivial.name == "the most common class, b"
    labels = torch.tensor([1] * 6 + [0] * 2 + [2] * 2)
    metrics = measured(trivial, [(None, labels[:4]), (None, labels[4:])], ClassificationMetrics(["a", "b", "c"]))
    assert metrics["accuracy"] == pytest.approx(0.6)
    assert metrics["macro_f1"] == pytest.approx(2 * 0.6 / 1.6 / 3)
    assert metrics["quadratic_weighted_kappa"] == 0.0


def test_the_most_common_grades_have_no_agreement_beyond_chance():
    classes = {"one": ("no", "yes"), "two": ("a", "b", "c")}
    trivial = grade_predictors({"one": [3, 1], "two": [1, 1, 5]})[0]
    labels = torch.tensor([[0, 2], [1, 2], [0, 0], [-1, 1]])
    metrics = measured(trivial, [(None, labels)], GradingMetrics(classes))
    assert metrics["mean_kappa"] == 0.0
    assert metrics["one_accuracy"] == pytest.approx(2 / 3)
    assert metrics["two_accuracy"] == pytest.approx(1 / 2)


def test_without_crowns_nothing_is_found_and_the_count_is_off_by_the_spread():
    truth = {
        "boxes": torch.tensor([[2.0, 2.0, 10.0, 10.0]]),
        "labels": torch.tensor([1]),
        "masks": torch.zeros(1, SIDE_PX, SIDE_PX, dtype=torch.bool),
        "semantic": torch.zeros(SIDE_PX, SIDE_PX, dtype=torch.int64),
        "has_instances": True,
    }
    truth["masks"][0, 2:10, 2:10] = True
    metrics = measured(no_crowns(3.0), [(None, [truth])], CrownMetrics(num_kinds=1, num_classes=2))
    assert (metrics["map_50"], metrics["canopy_iou"], metrics["count_error"]) == (0.0, 0.0, 2.0)


def num_labels(targets):
    return (len(targets["label"]),)


def test_features_that_are_all_the_same_call_one_class():
    bank = {"label": torch.arange(4).repeat(5), "is_query": torch.zeros(20, dtype=torch.bool)}
    queries = {"label": torch.arange(4).repeat(3), "is_query": torch.ones(12, dtype=torch.bool)}
    metrics = measured(feature_predictors(num_labels)[0], [(None, bank), (None, queries)], ProbeMetrics(num_classes=4))
    assert metrics == {"knn_accuracy": 0.25, "linear_accuracy": 0.25}


def test_the_floor_of_classes_is_measured_on_the_part_that_is_asked_for():
    def labelled(labels):
        count = len(labels)
        images = np.zeros((count, 48, 48, 3), np.uint8)
        names = tuple(map(str, range(count)))
        return LabelledImages(images=images, labels=np.array(labels), names=names, class_names=("clean", "dirty"))

    task = get_task("dishes")
    splits = Splits(
        train=labelled([0, 1, 1]), validation=labelled([0, 0, 1, 1]), test=labelled([1, 1, 1, 0]), fingerprint={}
    )
    config = task.adapt_to_data(task.default_config(), splits)
    floors = {split: task.trivial_floor(config, splits, split) for split in ("validation", "test")}
    # Two thirds of the draws are dirty: right on 1/2 of the one part, on 7/12 of the other.
    expected = {"validation": 1 / 2, "test": 7 / 12}
    assert {floor.name for floor in floors.values()} == {"random classes"}
    assert {split: floor.metrics["accuracy"] for split, floor in floors.items()} == pytest.approx(expected, abs=0.12)


def test_random_classes_have_a_macro_f1_of_one_in_k_and_a_spread_that_many_images_lower():
    counts, spreads = [10, 30, 60], []
    for images in (50, 800):
        labels = torch.arange(10).repeat(images // 10).mul(7).remainder(10)
        labels = torch.where(labels < 1, 0, torch.where(labels < 4, 1, 2))
        (floor,) = measured_floors(
            class_predictors(counts, range(len(counts)))[1:],
            [(None, labels)],
            lambda: ClassificationMetrics(["a", "b", "c"]),
            objective="macro_f1",
        )
        assert floor.objective == pytest.approx(1 / 3, abs=0.02)
        spreads.append(floor.spread)
    assert spreads[0] / spreads[1] == pytest.approx(4, rel=0.35)


def test_random_grades_agree_with_no_one_on_average():
    classes = {"one": ("no", "yes"), "two": ("a", "b", "c")}
    generator = torch.Generator().manual_seed(5)
    labels = torch.stack([torch.randint(k, (200,), generator=generator) for k in (2, 3)], dim=1)
    (floor,) = measured_floors(
        grade_predictors({"one": [1, 1], "two": [1, 1, 1]})[1:],
        [(None, labels)],
        lambda: GradingMetrics(classes),
        objective="mean_kappa",
    )
    assert abs(floor.objective) < 0.03
    # Of one kappa about 1 / sqrt(200), of the mean of two less by sqrt(2).
    assert floor.spread == pytest.approx(0.05, abs=0.02)


def test_random_features_are_at_chance():
    bank = {"label": torch.arange(4).repeat(25), "is_query": torch.zeros(100, dtype=torch.bool)}
    queries = {"label": torch.arange(4).repeat(25), "is_query": torch.ones(100, dtype=torch.bool)}
    batches = [(None, bank), (None, queries)]
    (probed,) = measured_floors(
        feature_predictors(num_labels)[1:], batches, lambda: ProbeMetrics(num_classes=4), objective="knn_accuracy"
    )
    assert probed.objective == pytest.approx(0.25, abs=0.04)
    views = feature_predictors(lambda targets: (len(targets), 2))[1:]
    (found,) = measured_floors(views, [(None, torch.arange(50))], RetrievalMetrics, objective="mean_reciprocal_rank")
    # The mean of 1 / rank over equally likely ranks: the harmonic number of 50 over 50.
    assert found.objective == pytest.approx(sum(1 / rank for rank in range(1, 51)) / 50, abs=0.01)


def crown(left):
    target = {
        "boxes": torch.tensor([[left, 2.0, left + 8, 10.0]]),
        "labels": torch.tensor([1]),
        "masks": torch.zeros(1, SIDE_PX, SIDE_PX, dtype=torch.uint8),
        "semantic": torch.full((SIDE_PX, SIDE_PX), 255),
        "has_instances": torch.tensor(True),
    }
    target["masks"][0, 2:10, int(left) : int(left) + 8] = 1
    return target


def test_the_crowns_of_another_image_are_found_where_they_lie_alike_and_nowhere_else():
    for other, found in ((crown(2.0), 1.0), (crown(14.0), 0.0)):
        (floor,) = measured_floors(
            [crowns_of_others(lambda other=other: other)],
            [(None, [crown(2.0), crown(2.0)])],
            lambda: CrownMetrics(num_kinds=1, num_classes=2),
            objective="map_50",
        )
        assert floor.objective == pytest.approx(found)
        assert floor.metrics["count_error"] == 0.0
