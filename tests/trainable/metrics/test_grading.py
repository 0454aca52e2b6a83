import pytest
import torch

from trainable.metrics.classification import ClassificationMetrics
from trainable.metrics.grading import GradingMetrics, metric_names

CLASSES = {"grade": ("none", "some", "much"), "risk": ("low", "high")}
LABELS = torch.tensor([[0, 1], [2, -1], [1, 0], [-1, 1], [2, 0], [0, 0]])


def scores():
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.rand(6, count, generator=generator).softmax(1) for count in (3, 2))


def computed(sizes=(6,)):
    metrics = GradingMetrics(CLASSES)
    for *own, labels in zip(*(part.split(sizes) for part in (*scores(), LABELS)), strict=True):
        metrics.update(own, labels)
    return metrics.compute()


def test_each_task_is_measured_on_its_own_labelled_images():
    values = computed()
    for task, (name, classes) in enumerate(CLASSES.items()):
        alone = ClassificationMetrics(classes)
        labelled = LABELS[:, task] >= 0
        alone.update(scores()[task][labelled], LABELS[labelled, task])
        assert {key: values[f"{name}_{key}"] for key in alone.compute()} == pytest.approx(alone.compute())


def test_the_objective_is_the_mean_of_the_tasks_kappas():
    values = computed()
    kappas = [values[f"{name}_quadratic_weighted_kappa"] for name in CLASSES]
    assert values["mean_kappa"] == pytest.approx(sum(kappas) / 2)
    assert values["mean_accuracy"] == pytest.approx((values["grade_accuracy"] + values["risk_accuracy"]) / 2)
    assert values["mean_macro_f1"] == pytest.approx((values["grade_macro_f1"] + values["risk_macro_f1"]) / 2)


def test_batches_change_nothing():
    assert computed((1, 3, 2)) == pytest.approx(computed())


def test_what_several_processes_counted_merges_to_what_one_would_have_counted():
    first, second = GradingMetrics(CLASSES), GradingMetrics(CLASSES)
    for metrics, rows in ((first, slice(0, 2)), (second, slice(2, 6))):
        metrics.update([own[rows] for own in scores()], LABELS[rows])
    first.merge([first.state_dict(), second.state_dict()])
    assert first.compute() == pytest.approx(computed())


def test_the_names_are_known_before_anything_is_measured():
    assert set(metric_names(CLASSES)) == computed().keys()


def test_a_task_without_a_label_is_an_error():
    metrics = GradingMetrics(CLASSES)
    metrics.update(scores(), torch.tensor([[0, -1]] * 6))
    with pytest.raises(ValueError, match="No evaluated image has a label"):
        metrics.compute()
