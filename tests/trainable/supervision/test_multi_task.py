import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from trainable import OptimizedTrainer
from trainable.losses.classification import balancing_weights
from trainable.losses.loss_weighting import CLASSIFICATION, LossWeightingConfig
from trainable.metrics.running_mean import RunningMeans
from trainable.supervision.multi_task import MultiTaskLossConfig, MultiTaskSupervision

NUM_CLASSES = {"grade": 3, "risk": 2}
LABELS = torch.tensor([[0, 1], [2, -1], [1, 0], [-1, 1], [2, -1], [0, -1], [-1, 0], [1, 1], [2, 0], [0, -1]])
SHARES = tuple((LABELS >= 0).float().mean(dim=0).tolist())


def supervision_of(weighting="equal", **loss):
    built = LossWeightingConfig(weighting=weighting).build([CLASSIFICATION] * 2)
    return MultiTaskSupervision(NUM_CLASSES, MultiTaskLossConfig(labelled_shares=SHARES, **loss), built)


def batches(sizes):
    images = torch.rand(len(LABELS), 3, 4, 4, generator=torch.Generator().manual_seed(0))
    return list(zip(images.split(sizes), LABELS.split(sizes), strict=True))


def trainer_of(supervision, *, accumulation_steps=1, epochs=4):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.Tanh(), nn.Linear(8, 5))
    optimizer = torch.optim.AdamW([*net.parameters(), *supervision.parameters()], lr=0.05)
    options = {"enable_progressive_aug": False, "total_epochs": epochs, "warmup_epochs": 0, "max_lr": 0.05}
    return OptimizedTrainer(net, optimizer, supervision, "cpu", accumulation_steps=accumulation_steps, **options)


def weights(trainer):
    return torch.cat([p.detach().flatten() for p in (*trainer.model.parameters(), *trainer.supervision.parameters())])


@pytest.mark.parametrize("sizes", [[4, 4, 2], [2, 2, 2, 2, 2], [5, 1, 4], [3, 2, 5]])
def test_accumulated_micro_batches_with_missing_labels_equal_one_batch(sizes):
    """Rows 4 and 5 have no risk, so that the micro-batch (5, 1, 4) ... (3, 2, 5) holds one without any label of it."""
    one, many = (trainer_of(supervision_of("uncertainty"), accumulation_steps=steps) for steps in (1, 5))
    one.train_epoch(batches([10]), 0)
    many.train_epoch(batches(sizes), 0)
    torch.testing.assert_close(weights(many), weights(one), rtol=1e-5, atol=1e-6)


def test_the_epochs_loss_of_a_task_is_the_mean_over_its_labelled_images():
    supervision = supervision_of()
    logits = torch.randn(10, 5, generator=torch.Generator().manual_seed(1))
    parts = supervision.losses(lambda images: output(images), logits, LABELS).parts
    for name, own, labels in zip(NUM_CLASSES, logits.split([3, 2], dim=1), LABELS.unbind(1), strict=True):
        by_hand = F.cross_entropy(own, labels, ignore_index=-1)
        torch.testing.assert_close(parts[f"{name}_loss"], by_hand)


def test_the_epochs_training_accuracy_of_a_task_is_over_its_labelled_images():
    logits = torch.full((10, 5), -1.0)
    logits[:, 0] = logits[:, 4] = 1.0
    accuracies = RunningMeans()
    for answers, labels in zip(logits.split([3, 7]), LABELS.split([3, 7]), strict=True):
        parts = supervision_of().losses(output, answers, labels).parts
        accuracies.add({name: value for name, value in parts.items() if name.endswith("_accuracy")}, len(labels))
    # Of 8 labelled grades 3 are the first class, of 6 labelled risks 3 the second.
    expected = {"grade_accuracy": 3 / 8, "risk_accuracy": 3 / 6, "mean_accuracy": 7 / 16}
    assert accuracies.compute() == pytest.approx(expected)


def output(logits):
    return type("Output", (), {"predictions": logits})()


@pytest.mark.parametrize("weighting", ["equal", "uncertainty", "dynamic"])
def test_a_batch_without_any_label_of_a_task_trains_the_other_alone(weighting):
    supervision = supervision_of(weighting)
    logits = torch.zeros(2, 5, requires_grad=True)
    losses = supervision.losses(output, logits, torch.tensor([[1, -1], [2, -1]]))
    losses.total.backward()
    assert losses.parts["risk_loss"] == 0
    assert losses.total.isfinite()
    assert logits.grad[:, :3].abs().sum() > 0
    assert logits.grad[:, 3:].abs().sum() == 0


def test_learned_weights_change_with_training_and_are_metrics_of_the_epoch():
    trainer = trainer_of(supervision_of("uncertainty"))
    logged = [trainer.train_epoch(batches([5, 5]), epoch) for epoch in range(4)]
    assert logged[-1]["grade_weight"] != pytest.approx(1.0, abs=0.01)
    effective = trainer.supervision.weighting.effective().tolist()
    assert logged[-1]["grade_weight"] == pytest.approx(effective[0], rel=0.1)


def test_the_dynamic_average_follows_the_epochs_losses():
    trainer = trainer_of(supervision_of("dynamic"))
    logged = [trainer.train_epoch(batches([5, 5]), epoch) for epoch in range(4)]
    pairs = [(epoch["grade_weight"], epoch["risk_weight"]) for epoch in logged]
    assert pairs[:2] == [(1.0, 1.0), (1.0, 1.0)]
    ratios = np.array([[epoch[f"{name}_loss"] for name in NUM_CLASSES] for epoch in logged])
    expected = np.exp(ratios[2] / ratios[1] / 2)
    assert pairs[3] == pytest.approx(tuple(2 * expected / expected.sum()), rel=1e-5)


@pytest.mark.parametrize("weighting", ["uncertainty", "dynamic"])
def test_weights_continue_where_the_checkpoint_left_them(weighting, tmp_path):
    whole, first, second = (trainer_of(supervision_of(weighting)) for _ in range(3))
    logged = [whole.train_epoch(batches([5, 5]), epoch) for epoch in range(4)]
    for epoch in range(2):
        first.train_epoch(batches([5, 5]), epoch)
    first.save_checkpoint(tmp_path / "state.pt", 2)
    second.load_checkpoint(tmp_path / "state.pt")
    assert [second.train_epoch(batches([5, 5]), epoch) for epoch in (2, 3)] == logged[2:]
    torch.testing.assert_close(weights(second), weights(whole), rtol=0, atol=0)


def test_gradnorm_needs_a_network_that_says_what_its_tasks_share():
    with pytest.raises(ValueError, match=r"Sequential has no method last_shared_weights\(\)"):
        trainer_of(supervision_of("gradnorm"))


def test_each_task_has_the_class_weights_of_its_own_counts():
    supervision = supervision_of(class_weights="inverse", class_counts=(6, 3, 1, 8, 2))
    torch.testing.assert_close(supervision.criteria[0].weights, balancing_weights((6, 3, 1), "inverse"))
    torch.testing.assert_close(supervision.criteria[1].weights, balancing_weights((8, 2), "inverse"))


def test_class_weights_without_the_counts_of_all_classes_are_refused():
    with pytest.raises(ValueError, match="class_counts has 3 numbers; give 5, one for each class of each task"):
        supervision_of(class_weights="inverse", class_counts=(6, 3, 1))


def test_an_evaluated_batch_has_the_probabilities_of_each_task_and_a_loss_without_learned_weights():
    supervision = supervision_of("uncertainty")
    with torch.no_grad():
        supervision.weighting.raw_log_variances.fill_(3.0)
    logits = torch.randn(10, 5, generator=torch.Generator().manual_seed(1))
    evaluated = supervision.evaluate(output, logits, LABELS)
    grade, risk = logits.split([3, 2], dim=1)
    torch.testing.assert_close(evaluated.scores, (grade.softmax(1), risk.softmax(1)))
    sums = [
        F.cross_entropy(own, LABELS[:, task], ignore_index=-1, reduction="sum")
        for task, own in enumerate((grade, risk))
    ]
    torch.testing.assert_close(evaluated.losses["loss"], sum(sums) / 10)
