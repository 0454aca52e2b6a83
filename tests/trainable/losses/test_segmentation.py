import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import uniform_filter
from torch import Tensor, nn

from trainable.losses.segmentation import (
    bce_dice_loss,
    bce_loss,
    deep_supervision,
    dice_loss,
    structure_loss,
    uncertainty_awareness,
)
from trainable.losses.segmentation_config import LOSSES, SegmentationLossConfig
from trainable.models.output import ModelOutput

every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


@every_loss
def test_a_confident_right_answer_costs_nothing_and_a_wrong_one_much(loss) -> None:
    _, masks = _batch(3)
    right = (masks * 2 - 1) * 30
    assert loss(right, masks).item() == pytest.approx(0, abs=1e-5)
    assert loss(-right, masks).item() > 0.8


@every_loss
def test_the_gradient_points_up_on_the_object_and_down_off_it(loss) -> None:
    logits, masks = _batch(3)
    logits.requires_grad_()
    loss(logits, masks).backward()
    assert (logits.grad[masks > 0.5] < 0).all()
    off_object = logits.grad[masks < 0.5]
    assert (off_object > 0).all()


@every_loss
def test_micro_batches_weighted_by_their_samples_add_up_to_the_whole_batch(loss) -> None:
    logits, masks = _batch(10)
    whole, parts = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss(whole, masks).backward()
    for part, mask in zip(parts.split([4, 4, 2]), masks.split([4, 4, 2]), strict=True):
        (loss(part, mask) * len(part) / 10).backward()
    torch.testing.assert_close(parts.grad, whole.grad, atol=1e-8, rtol=1e-5)


@every_loss
def test_half_precision_logits_lose_nothing_but_their_own_rounding(loss) -> None:
    logits, masks = _batch(3)
    logits = logits.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = loss(logits, masks)
    assert low.dtype == torch.float32
    torch.testing.assert_close(low, loss(logits.float(), masks))


@every_loss
def test_a_mask_that_would_only_broadcast_is_refused(loss) -> None:
    with pytest.raises(ValueError, match=r"both must be \(B, 1, H, W\)"):
        loss(torch.zeros(2, 1, 8, 8), torch.zeros(2, 8, 8))


def test_bce_and_dice_have_their_hand_worked_values() -> None:
    logits, masks = torch.zeros(1, 1, 2, 2), torch.tensor([1.0, 1, 1, 0]).view(1, 1, 2, 2)
    # Probabilities of 1/2: overlap 1.5, sizes 2 and 3, one added above and below.
    dice = 1 - (2 * 1.5 + 1) / (2 + 3 + 1)
    assert bce_loss(logits, masks).item() == pytest.approx(math.log(2))
    assert dice_loss(logits, masks).item() == pytest.approx(dice)
    assert bce_dice_loss(logits, masks).item() == pytest.approx(math.log(2) + dice)


def test_dice_is_averaged_over_images_and_not_over_pooled_pixels() -> None:
    logits, masks = _batch(2)
    alone = [dice_loss(logits[i : i + 1], masks[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(dice_loss(logits, masks), torch.stack(alone).mean())


@pytest.mark.parametrize("loss", [dice_loss, structure_loss])
def test_a_soft_mask_is_met_by_its_own_value_and_not_by_certainty(loss) -> None:
    masks = torch.full((1, 1, 8, 8), 0.3)
    costs = [loss(torch.full_like(masks, p).logit(), masks).item() for p in (0.05, 0.2, 0.3, 0.4, 0.95)]
    assert costs.index(min(costs)) == 2


def test_structure_loss_follows_its_definition() -> None:
    logits, masks = _batch(2, size=22)
    expected = []
    for x, m in zip(logits[:, 0].double().numpy(), masks[:, 0].double().numpy(), strict=True):
        weight = 1 + 5 * abs(uniform_filter(m, 5, mode="constant") - m)
        p = 1 / (1 + np.exp(-x))
        entropy = -(m * np.log(p) + (1 - m) * np.log(1 - p))
        overlap, both = (weight * p * m).sum(), (weight * (p + m)).sum()
        expected.append((weight * entropy).sum() / weight.sum() + 1 - (overlap + 1) / (both - overlap + 1))
    assert structure_loss(logits, masks, boundary_window=5 / 22).item() == pytest.approx(np.mean(expected), rel=1e-5)


def test_structure_loss_is_not_the_copied_one_that_averages_before_it_weighs() -> None:
    """The copy's cross-entropy is the same wherever the error lies; only errors at the boundary are made here."""
    _, masks = _batch(2)
    weights = 1 + 5 * (F.avg_pool2d(masks, 5, stride=1, padding=2) - masks).abs()
    logits = torch.where(weights > 2, -3, 3) * (masks * 2 - 1)
    probabilities = logits.sigmoid()
    overlap = (probabilities * masks * weights).sum((1, 2, 3))
    both = ((probabilities + masks) * weights).sum((1, 2, 3))
    copied = bce_loss(logits, masks) + (1 - (overlap + 1) / (both - overlap + 1)).mean()
    assert structure_loss(logits, masks, boundary_window=5 / 16) > copied + 0.4


def test_an_error_at_the_boundary_costs_more_than_one_far_from_it() -> None:
    masks = torch.zeros(1, 1, 64, 64)
    masks[..., 20:40, 20:40] = 1
    right = (masks * 2 - 1) * 4
    near, far = right.clone(), right.clone()
    near[..., 30, 40] = 4
    far[..., 60, 60] = 4
    for loss, ratio in ((structure_loss, 2.0), (bce_loss, 1.0)):
        base = loss(right, masks)
        assert (loss(near, masks) - base) / (loss(far, masks) - base) == pytest.approx(
            ratio, rel=0.5 * (ratio - 1) + 1e-3
        )


def test_the_boundary_window_is_31_pixels_at_352_and_shrinks_with_the_map() -> None:
    for size, half in ((352, 15), (96, 4), (12, 1)):
        masks = torch.zeros(1, 1, size, size)
        masks[..., : size // 2] = 1
        logits = torch.zeros_like(masks, requires_grad=True)
        structure_loss(logits, masks).backward()
        last_near, first_far, *_, farthest = logits.grad[0, 0, size // 2, size // 2 + half - 1 :].tolist()
        assert last_near > 1.01 * first_far
        assert first_far == pytest.approx(farthest)


@pytest.mark.parametrize("name", LOSSES)
def test_boundary_emphasis_shifts_the_gradient_to_the_border(name: str) -> None:
    """Weights at a straight border reach 1 + emphasis / 2; inside they stay at 1."""
    masks = torch.zeros(1, 1, 64, 64)
    masks[..., 16:48, 16:48] = 1
    ratios = []
    for emphasis in (0.0, 2.0, 8.0):
        logits = torch.zeros_like(masks, requires_grad=True)
        SegmentationLossConfig(criterion=name, boundary_emphasis=emphasis).build()(logits, masks).backward()
        pull = logits.grad[0, 0].abs()
        ratios.append((pull[16, 32] / pull[32, 32]).item())
    assert ratios[0] == pytest.approx(1)
    assert ratios[2] > 1.8 * ratios[1] > 2.7


@pytest.mark.parametrize("name", LOSSES)
def test_without_an_emphasis_each_criterion_keeps_its_own_to_the_bit(name: str) -> None:
    batch = _batch(2)
    own = 5.0 if name == "structure" else 0.0
    left_out, given = (SegmentationLossConfig(criterion=name, boundary_emphasis=value) for value in (None, own))
    assert left_out.build()(*batch) == given.build()(*batch)


def test_weighted_entropy_and_dice_follow_their_definitions() -> None:
    logits, masks = _batch(2, size=22)
    entropies, dices = [], []
    for x, m in zip(logits[:, 0].double().numpy(), masks[:, 0].double().numpy(), strict=True):
        # 31 of 352 pixels are 1.9 of 22: the smallest window, 3.
        weight = 1 + 3 * abs(uniform_filter(m, 3, mode="constant") - m)
        p = 1 / (1 + np.exp(-x))
        entropy = -(m * np.log(p) + (1 - m) * np.log(1 - p))
        entropies.append((weight * entropy).sum() / weight.sum())
        dices.append(1 - (2 * (weight * p * m).sum() + 1) / ((weight * (p + m)).sum() + 1))
    assert bce_loss(logits, masks, boundary_emphasis=3).item() == pytest.approx(np.mean(entropies), rel=1e-5)
    assert dice_loss(logits, masks, boundary_emphasis=3).item() == pytest.approx(np.mean(dices), rel=1e-5)


def test_weighted_micro_batches_add_up_to_the_whole_batch() -> None:
    logits, masks = _batch(10)
    loss = SegmentationLossConfig(criterion="bce_dice", boundary_emphasis=5.0).build()
    parts = [loss(part, mask) * len(part) / 10 for part, mask in zip(logits.split(4), masks.split(4), strict=True)]
    torch.testing.assert_close(sum(parts), loss(logits, masks))


def test_uncertainty_is_one_when_undecided_and_gone_when_sure() -> None:
    logits = torch.tensor([0.0, 30.0, -30.0, math.log(3)]).view(4, 1, 1, 1)
    # At p = 3/4 it is 1 - (1/2)^2.
    expected = [1.0, 0.0, 0.0, 0.75]
    assert [uncertainty_awareness(x[None]).item() for x in logits] == pytest.approx(expected, abs=1e-6)


def test_the_uncertainty_weight_pushes_predictions_towards_a_decision() -> None:
    masks = torch.full((1, 1, 4, 4), 0.5)
    gradients = []
    for weight in (0.0, 1.0):
        logits = torch.full_like(masks, 0.5, requires_grad=True)
        SegmentationLossConfig(criterion="bce", uncertainty_weight=weight).build()(logits, masks).backward()
        gradients.append(logits.grad.mean().item())
    assert gradients[0] > 0 > gradients[1]


def test_the_number_of_auxiliary_heads_does_not_change_the_scale() -> None:
    logits, masks = _batch(2)
    results = [deep_supervision(_output(logits, (logits,) * n), masks, bce_loss, 0.4) for n in (1, 4)]
    for supervised in results:
        torch.testing.assert_close(supervised.total, 1.4 * bce_loss(logits, masks))
        torch.testing.assert_close(supervised.aux, bce_loss(logits, masks))


def test_a_coarse_head_is_compared_with_the_share_of_object_in_each_of_its_pixels() -> None:
    masks = torch.zeros(1, 1, 4, 4)
    masks[..., 0, :3] = 1
    seen = []

    def record(logits: Tensor, targets: Tensor) -> Tensor:
        seen.append(targets)
        return logits.mean()

    deep_supervision(_output(torch.zeros(1, 1, 4, 4), (torch.zeros(1, 1, 2, 2),)), masks, record)
    assert seen[0] is masks
    assert seen[1].flatten().tolist() == [0.5, 0.25, 0, 0]


def test_without_auxiliary_heads_or_weight_only_the_prediction_counts() -> None:
    logits, masks = _batch(2)
    plain = bce_loss(logits, masks)
    for output, weight in ((_output(logits), 0.4), (_output(logits, (logits * math.nan,)), 0.0)):
        supervised = deep_supervision(output, masks, bce_loss, weight)
        assert (supervised.total.item(), supervised.aux.item()) == (plain.item(), 0)


def test_a_criterion_of_pytorch_works_unchanged_on_half_precision_outputs() -> None:
    logits, masks = _batch(2)
    output = _output(logits.half(), (F.avg_pool2d(logits, 2).half(),))
    supervised = deep_supervision(output, masks, nn.BCEWithLogitsLoss())
    assert supervised.total.dtype == torch.float32
    assert supervised.total > supervised.aux * 0.4


@pytest.mark.parametrize("name", LOSSES)
def test_the_configuration_builds_the_loss_it_names(name: str) -> None:
    batch = _batch(2)
    plain = SegmentationLossConfig(criterion=name).build()(*batch)
    assert plain == LOSSES[name](*batch)
    weighted = SegmentationLossConfig(criterion=name, uncertainty_weight=0.5).build()(*batch)
    torch.testing.assert_close(weighted, plain + 0.5 * uncertainty_awareness(batch[0]))


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ({"criterion": "structur"}, "did you mean structure"),
        ({"aux_weight": -0.1}, "aux_weight is -0.1; it must be 0"),
        ({"z_loss_weight": math.nan}, "z_loss_weight is nan"),
        ({"uncertainty_weight": math.inf}, "uncertainty_weight is inf"),
        ({"boundary_emphasis": -1.0}, "boundary_emphasis is -1.0; it must be 0 .off. or a positive number, or none"),
    ],
)
def test_a_wrong_configuration_is_refused_with_a_sentence(field: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SegmentationLossConfig(**field)


def _batch(images: int, size: int = 16) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(images)
    masks = torch.zeros(images, 1, size, size)
    for index in range(images):
        masks[index, :, 2 : 5 + index, 3 : 8 + index // 2] = 1
    return torch.randn(images, 1, size, size, generator=generator), masks


def _output(logits: Tensor, aux: tuple[Tensor, ...] = ()) -> ModelOutput:
    return ModelOutput(predictions=logits, aux_outputs=aux)
