import math

import pytest
import torch

from trainable.metrics.classification import METRIC_NAMES, ClassificationMetrics, quadratic_weighted_kappa

# True class by row: of 4 a's 3 right and 1 called b; of 2 b's 1 right and 1 called c; the one c right.
LABELS = torch.tensor([0, 0, 0, 0, 1, 1, 2])
CALLED = torch.tensor([0, 0, 0, 1, 1, 2, 2])


def scores_of(called, confidence=0.8, num_classes=3):
    rest = (1 - confidence) / (num_classes - 1)
    scores = torch.full((len(called), num_classes), rest)
    return scores.scatter_(1, called.unsqueeze(1), confidence)


def computed(labels, scores, names="abc", **options):
    metrics = ClassificationMetrics(names, **options)
    metrics.update(scores, labels)
    return metrics.compute()


def test_counted_metrics_worked_by_hand():
    values = computed(LABELS, scores_of(CALLED))
    assert values["accuracy"] == pytest.approx(5 / 7)
    assert [values[f"recall_{name}"] for name in "abc"] == pytest.approx([3 / 4, 1 / 2, 1])
    assert [values[f"f1_{name}"] for name in "abc"] == pytest.approx([6 / 7, 1 / 2, 2 / 3])
    assert values["balanced_accuracy"] == pytest.approx((3 / 4 + 1 / 2 + 1) / 3)
    assert values["macro_f1"] == pytest.approx((6 / 7 + 1 / 2 + 2 / 3) / 3)


def test_kappa_worked_by_hand():
    """Disagreements 1 + 1 of distance 1. By chance: sum of rows (4, 2, 1) x columns (3, 2, 2) x distance^2, over 7."""
    by_chance = (4 * 2 * 1 + 4 * 2 * 4 + 2 * 3 * 1 + 2 * 2 * 1 + 1 * 3 * 4 + 1 * 2 * 1) / 7
    kappa = computed(LABELS, scores_of(CALLED))["quadratic_weighted_kappa"]
    assert kappa == pytest.approx(1 - 2 / by_chance)


def test_kappa_is_1_when_right_0_when_constant_and_below_when_opposed():
    assert quadratic_weighted_kappa(torch.diag(torch.tensor([3.0, 2, 5]).double())) == 1
    assert quadratic_weighted_kappa(torch.tensor([[3.0, 0], [2, 0]]).double()) == 0
    assert quadratic_weighted_kappa(torch.tensor([[0.0, 3], [3, 0]]).double()) == -1
    assert quadratic_weighted_kappa(torch.tensor([[5.0, 0], [0, 0]]).double()) == 1


def test_calibration_error_worked_by_hand():
    """5 of 7 predictions of confidence 0.8 are right, and 1 of 1 of confidence 0.4 in another bin."""
    scores = torch.cat([scores_of(CALLED), scores_of(torch.tensor([2]), 0.4)])
    labels = torch.cat([LABELS, torch.tensor([2])])
    assert computed(labels, scores)["ece"] == pytest.approx((7 * abs(5 / 7 - 0.8) + abs(1 - 0.4)) / 8, abs=1e-6)


def test_likelihood_worked_by_hand():
    values = computed(LABELS, scores_of(CALLED))
    assert values["nll"] == pytest.approx(-(5 * math.log(0.8) + 2 * math.log(0.1)) / 7, abs=1e-6)


def test_a_class_absent_from_the_targets_counts_for_f1_only_when_it_is_called():
    never_called = computed(torch.tensor([0, 1, 1]), scores_of(torch.tensor([0, 1, 1])))
    assert (never_called["macro_f1"], never_called["balanced_accuracy"]) == (1, 1)
    assert (never_called["f1_c"], never_called["recall_c"]) == (0, 0)
    called = computed(torch.tensor([0, 1, 1]), scores_of(torch.tensor([0, 1, 2])))
    assert called["macro_f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert called["balanced_accuracy"] == pytest.approx((1 + 1 / 2) / 2)


def test_rows_without_a_label_change_nothing():
    padded = torch.cat([LABELS, torch.tensor([-1, -1])])
    scores = torch.cat([scores_of(CALLED), scores_of(torch.tensor([0, 1]), 0.99)])
    assert computed(padded, scores) == pytest.approx(computed(LABELS, scores_of(CALLED)))


def test_batches_of_any_size_give_what_all_at_once_gives():
    metrics = ClassificationMetrics("abc")
    for rows in (slice(0, 5), slice(5, 6), slice(6, 7)):
        metrics.update(scores_of(CALLED)[rows], LABELS[rows])
    assert metrics.compute() == pytest.approx(computed(LABELS, scores_of(CALLED)))


def test_a_certain_mistake_costs_much_but_not_infinitely():
    values = computed(torch.tensor([0]), torch.tensor([[0.0, 1.0, 0.0]]))
    assert math.isfinite(values["nll"])
    assert values["nll"] > 80


def test_the_constant_share_is_that_of_the_class_that_is_called_most_and_0_where_there_is_only_one():
    all_alike = torch.tensor([[0.2, 0.7, 0.1]]).expand(4, 3)
    mixed = torch.cat([all_alike[:3], torch.tensor([[0.9, 0.1, 0.0]])])
    labels = torch.tensor([0, 1, 2, -1])
    assert computed(labels, all_alike)["constant_share"] == 1
    assert computed(labels.abs(), mixed)["constant_share"] == 0.75
    assert computed(torch.ones(4, dtype=torch.int64), all_alike)["constant_share"] == 0


def test_names_are_those_that_are_announced_and_two_for_each_class():
    assert computed(LABELS, scores_of(CALLED)).keys() == {
        *METRIC_NAMES,
        *(f"{metric}_{name}" for metric in ("f1", "recall") for name in "abc"),
    }


def test_without_a_labelled_image_there_is_a_sentence():
    with pytest.raises(ValueError, match="No evaluated image has a label"):
        computed(torch.tensor([-1]), torch.tensor([[0.2, 0.3, 0.5]]))


def test_what_several_processes_counted_merges_to_what_one_would_have_counted():
    draw = torch.Generator().manual_seed(5)
    scores, labels = torch.rand(9, 3, generator=draw).softmax(dim=1), torch.randint(0, 3, (9,), generator=draw)
    whole, *parts = (ClassificationMetrics("abc") for _ in range(4))
    whole.update(scores, labels)
    for part, rows in zip(parts, (slice(0, 4), slice(4, 9), slice(9, 9)), strict=True):
        part.update(scores[rows], labels[rows])
    parts[2].merge([part.state_dict() for part in parts])
    assert parts[2].compute() == pytest.approx(whole.compute(), abs=1e-12)
