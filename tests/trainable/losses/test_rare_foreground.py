"""Losses for rare foreground, against torchvision and by hand, and what they change in a training."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.ops import sigmoid_focal_loss

from trainable.losses.rare_foreground import balanced_bce_loss, focal_loss, tversky_loss
from trainable.losses.segmentation import bce_loss, dice_loss
from trainable.losses.segmentation_config import SegmentationLossConfig


def batch(share: float = 0.1, images: int = 3, size: int = 16) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    masks = (torch.rand(images, 1, size, size, generator=generator) < share).float()
    return 2 * torch.randn(images, 1, size, size, generator=generator), masks


@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, 0.25), (0.5, 0.75), (0.0, 0.5), (3.0, 0.9)])
def test_focal_is_torchvisions_with_its_gradient(gamma: float, alpha: float) -> None:
    logits, masks = batch()
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss = focal_loss(ours, masks, gamma=gamma, alpha=alpha)
    reference = sigmoid_focal_loss(theirs, masks, alpha=alpha, gamma=gamma, reduction="mean")
    torch.testing.assert_close(loss, reference)
    for one, of in ((loss, ours), (reference, theirs)):
        one.backward()
        assert of.grad.abs().max() > 0
    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_has_a_finite_gradient_where_the_probability_is_rounded_to_zero_or_one(gamma: float) -> None:
    logits = torch.tensor([-200.0, -20, 20, 200]).view(1, 1, 2, 2).requires_grad_()
    focal_loss(logits, torch.tensor([0.0, 1, 0, 1]).view(1, 1, 2, 2), gamma=gamma).backward()
    assert logits.grad.isfinite().all()
    assert logits.grad[0, 0, 0, 1] < 0 < logits.grad[0, 0, 1, 0]


@pytest.mark.parametrize("beta", [0.3, 0.5, 0.7, 0.95])
def test_tversky_has_its_hand_worked_value(beta: float) -> None:
    logits, masks = batch()
    expected = []
    for x, mask in zip(logits[:, 0].double().numpy(), masks[:, 0].double().numpy(), strict=True):
        p = 1 / (1 + np.exp(-x))
        hits, false, missed = (p * mask).sum(), (p * (1 - mask)).sum(), ((1 - p) * mask).sum()
        expected.append(1 - (hits + 0.5) / (hits + (1 - beta) * false + beta * missed + 0.5))
    assert tversky_loss(logits, masks, beta=beta).item() == pytest.approx(np.mean(expected), rel=1e-5)


def test_tversky_with_half_each_is_dice() -> None:
    logits, masks = batch()
    torch.testing.assert_close(tversky_loss(logits, masks, beta=0.5), dice_loss(logits, masks))


def test_balanced_bce_is_the_mean_of_the_mean_over_each_side() -> None:
    logits, masks = batch()
    p = logits.double().sigmoid()
    by_image = [
        -(one[mask > 0.5].log().mean() + (1 - one[mask < 0.5]).log().mean()) / 2
        for one, mask in zip(p, masks, strict=True)
    ]
    torch.testing.assert_close(balanced_bce_loss(logits, masks).double(), torch.stack(by_image).mean())


def test_on_a_mask_without_an_object_balanced_bce_is_plain_bce_and_a_full_one_likewise() -> None:
    logits, _ = batch()
    for constant in (torch.zeros_like(logits), torch.ones_like(logits)):
        torch.testing.assert_close(balanced_bce_loss(logits, constant), bce_loss(logits, constant))


def test_on_a_mask_without_an_object_entropies_pull_at_a_false_alarm_and_tversky_hardly() -> None:
    logits = torch.full((1, 1, 64, 64), -6.0)
    logits[..., :32] = 0.0
    masks, pulls = torch.zeros_like(logits), {}
    for loss in (bce_loss, balanced_bce_loss, focal_loss, tversky_loss):
        own = logits.clone().requires_grad_()
        loss(own, masks).backward()
        assert (own.grad >= 0).all()
        pulls[loss] = (own.grad.sum() / loss(logits, masks)).item()
    assert pulls[tversky_loss] < 1e-3
    assert min(pulls[loss] for loss in (bce_loss, balanced_bce_loss, focal_loss)) > 0.1


def recall_and_precision(config: SegmentationLossConfig) -> tuple[float, float]:
    """Recall and precision of a converged logistic regression on one noisy feature, with 2 % object pixels."""
    generator = torch.Generator().manual_seed(0)
    masks = (torch.rand(4, 1, 64, 64, generator=generator) < 0.02).float()
    feature = torch.randn(masks.shape, generator=generator) + 1.5 * masks
    weights = torch.tensor([1.0, -2.0], requires_grad=True)
    optimizer, criterion = torch.optim.Adam([weights], lr=0.05), config.build()
    for _ in range(300):
        optimizer.zero_grad()
        criterion(weights[0] * feature + weights[1], masks).backward()
        optimizer.step()
    found = weights.detach()[0] * feature + weights.detach()[1] > 0
    hits = (found & (masks > 0.5)).sum()
    return (hits / masks.sum()).item(), (hits / found.sum().clamp(min=1)).item()


def test_training_with_balanced_bce_finds_the_rare_object_that_bce_gives_up() -> None:
    assert recall_and_precision(SegmentationLossConfig(criterion="bce"))[0] < 0.1
    assert recall_and_precision(SegmentationLossConfig(criterion="balanced_bce"))[0] > 0.7


def test_training_with_a_larger_tversky_beta_misses_less_and_alarms_more() -> None:
    low, high = (
        recall_and_precision(SegmentationLossConfig(criterion="tversky", tversky_beta=beta)) for beta in (0.3, 0.9)
    )
    assert high[0] > low[0] + 0.2
    assert high[1] < low[1]


def test_training_with_a_larger_focal_alpha_misses_less() -> None:
    low, high = (
        recall_and_precision(SegmentationLossConfig(criterion="focal", focal_alpha=alpha)) for alpha in (0.25, 0.95)
    )
    assert high[0] > low[0] + 0.3


def test_a_larger_focal_gamma_moves_the_gradient_to_pixels_that_are_wrong() -> None:
    masks = torch.tensor([1.0, 1.0]).view(1, 1, 1, 2)
    shares = []
    for gamma in (0.0, 2.0):
        logits = torch.tensor([-1.0, 3.0]).view(1, 1, 1, 2).requires_grad_()
        SegmentationLossConfig(criterion="focal", focal_gamma=gamma).build()(logits, masks).backward()
        wrong, nearly_right = logits.grad.abs().flatten().tolist()
        shares.append(nearly_right / wrong)
    assert shares[0] == pytest.approx((1 - torch.tensor(3.0).sigmoid()).item() / torch.tensor(1.0).sigmoid().item())
    assert shares[1] < 0.02 * shares[0]


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ({"focal_gamma": -1.0}, r"focal_gamma is -1.0; it must be 0 \(cross-entropy\) or more"),
        ({"focal_alpha": 1.0}, "focal_alpha is 1.0; it must lie between 0 and 1, 0.5 weighs both sides the same"),
        ({"tversky_beta": 0.0}, "tversky_beta is 0.0; it must lie between 0 and 1, 0.5 is dice"),
    ],
)
def test_a_value_out_of_range_is_refused_with_a_sentence(field: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SegmentationLossConfig(**field)
