import math

import pytest
import torch
from torch.nn import functional as F

from trainable.losses.classification import (
    ClassificationLossConfig,
    balancing_weights,
    classification_losses,
    soft_targets,
)

LOGITS = torch.tensor([[2.0, 0.5, -1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 3.0], [1.0, 1.0, 1.0]])
LABELS = torch.tensor([0, 2, 2, 1])
WEIGHTS = torch.tensor([0.5, 2.0, 1.5])


def test_without_options_it_is_the_cross_entropy_of_torch():
    torch.testing.assert_close(classification_losses(LOGITS, LABELS), F.cross_entropy(LOGITS, LABELS, reduction="none"))


def test_weights_and_smoothing_are_those_of_torch():
    ours = classification_losses(LOGITS, LABELS, weights=WEIGHTS, label_smoothing=0.1)
    theirs = F.cross_entropy(LOGITS, LABELS, weight=WEIGHTS, label_smoothing=0.1, reduction="none")
    torch.testing.assert_close(ours, theirs)


def test_soft_targets_and_smoothing_are_those_of_torch():
    soft = torch.tensor([[0.7, 0.3, 0.0], [0.0, 0.5, 0.5], [0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])
    ours = classification_losses(LOGITS, soft, label_smoothing=0.2)
    torch.testing.assert_close(ours, F.cross_entropy(LOGITS, soft, label_smoothing=0.2, reduction="none"))


def test_focal_terms_worked_by_hand():
    """p = (3/4, 1/4): a hit costs (1/4)^2 log(4/3), a miss (3/4)^2 log 4."""
    logits = torch.tensor([[math.log(3.0), 0.0]] * 2)
    losses = classification_losses(logits, torch.tensor([0, 1]), focal_gamma=2.0)
    torch.testing.assert_close(losses, torch.tensor([math.log(4 / 3) / 16, 9 / 16 * math.log(4)]))


def test_gamma_0_is_cross_entropy():
    focal = classification_losses(LOGITS, LABELS, weights=WEIGHTS, focal_gamma=0.0)
    torch.testing.assert_close(focal, classification_losses(LOGITS, LABELS, weights=WEIGHTS))


def test_the_focal_gradient_is_not_that_of_a_rescaled_cross_entropy():
    def gradient(**options):
        logits = LOGITS.clone().requires_grad_()
        classification_losses(logits, LABELS, **options).mean().backward()
        return logits.grad.flatten()

    assert F.cosine_similarity(gradient(focal_gamma=2.0), gradient(), dim=0) < 0.99


def test_class_weights_do_not_touch_the_focal_modulation():
    plain = classification_losses(LOGITS, LABELS, focal_gamma=2.0)
    weighted = classification_losses(LOGITS, LABELS, focal_gamma=2.0, weights=WEIGHTS)
    torch.testing.assert_close(weighted, plain * WEIGHTS[LABELS])


def test_half_focal_and_half_smoothed_cross_entropy():
    combined = classification_losses(LOGITS, LABELS, focal_gamma=2.0, focal_share=0.5, label_smoothing=0.1)
    focal = classification_losses(LOGITS, LABELS, focal_gamma=2.0)
    smoothed = F.cross_entropy(LOGITS, LABELS, label_smoothing=0.1, reduction="none")
    torch.testing.assert_close(combined, 0.5 * focal + 0.5 * smoothed)


def test_a_mixed_target_costs_the_mix_of_its_labels():
    mixed = 0.3 * soft_targets(LABELS, 3) + 0.7 * soft_targets(LABELS.flip(0), 3)
    options = {"focal_gamma": 2.0, "focal_share": 0.5, "weights": WEIGHTS}
    parts = [classification_losses(LOGITS, labels, **options) for labels in (LABELS, LABELS.flip(0))]
    torch.testing.assert_close(classification_losses(LOGITS, mixed, **options), 0.3 * parts[0] + 0.7 * parts[1])


def test_a_missing_label_costs_nothing_and_pulls_nowhere():
    logits = LOGITS.clone().requires_grad_()
    losses = classification_losses(logits, torch.tensor([0, -1, 2, -1]), focal_gamma=2.0, weights=WEIGHTS)
    losses.sum().backward()
    assert losses[[1, 3]].tolist() == [0, 0]
    assert not logits.grad[[1, 3]].any()
    assert logits.grad[[0, 2]].any()


def test_a_sure_sample_has_a_finite_focal_gradient():
    logits = torch.tensor([[200.0, 0.0]], requires_grad=True)
    classification_losses(logits, torch.tensor([0]), focal_gamma=0.5).sum().backward()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize(
    ("kind", "ratio"),
    [("none", 1.0), ("inverse", 9.0), ("sqrt_inverse", 3.0), ("effective_number", (1 - 0.9**90) / (1 - 0.9**10))],
)
def test_the_rare_class_weighs_more_by_the_stated_ratio_and_the_mean_image_weighs_1(kind, ratio):
    weights = balancing_weights((90, 10), kind, 0.9).double()
    assert weights[1] / weights[0] == pytest.approx(ratio, rel=1e-6)
    assert (90 * weights[0] + 10 * weights[1]) / 100 == pytest.approx(1)


def test_inverse_weights_are_images_over_classes_times_count():
    assert balancing_weights((90, 10), "inverse").tolist() == pytest.approx([100 / (2 * 90), 100 / (2 * 10)])


def test_an_absent_class_weighs_nothing():
    assert balancing_weights((30, 0, 10), "inverse").tolist() == pytest.approx([40 / 60, 0, 40 / 20])


def test_a_weighted_mean_stays_exact_under_uneven_accumulation():
    loss = ClassificationLossConfig(class_weights="inverse", class_counts=(2, 5, 3)).build()
    parts = sum(loss(LOGITS[rows], LABELS[rows]) * len(LOGITS[rows]) for rows in (slice(0, 3), slice(3, 4)))
    torch.testing.assert_close(parts / len(LOGITS), loss(LOGITS, LABELS))


def test_the_built_loss_follows_its_configuration():
    config = ClassificationLossConfig(class_weights="inverse", class_counts=(2, 5, 3), focal_gamma=1.5)
    weights = balancing_weights((2, 5, 3), "inverse")
    expected = classification_losses(LOGITS, LABELS, weights=weights, focal_gamma=1.5).mean()
    torch.testing.assert_close(config.build()(LOGITS, LABELS), expected)


def test_weights_without_counts_are_refused():
    with pytest.raises(ValueError, match="class_counts is \\(\\); give the images of each class"):
        ClassificationLossConfig(class_weights="inverse").build()


@pytest.mark.parametrize(
    "bad",
    [
        {"effective_beta": 1.0},
        {"focal_gamma": -1.0},
        {"focal_share": 0.0},
        {"label_smoothing": 1.0},
        {"label_smoothing": 0.1, "focal_gamma": 2.0},
    ],
)
def test_impossible_losses_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        ClassificationLossConfig(**bad)
