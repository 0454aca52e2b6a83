import math

import pytest
import torch
from torch import nn

from trainable.losses.loss_weighting import (
    CLASSIFICATION,
    LARGEST_LOG_VARIANCE,
    REGRESSION,
    DynamicAverageWeighting,
    FixedWeighting,
    GradNormWeighting,
    LossWeightingConfig,
    UncertaintyWeighting,
    uncertainty_total,
)
from trainable.techniques.optim.optimizer import OptimizerConfig, build_optimizer

LOSSES = torch.tensor([1.4, 0.5])


def settled(weighting, losses=LOSSES, *, lr=0.05, steps=600):
    optimizer = torch.optim.Adam(weighting.parameters(), lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        weighting(losses).backward()
        optimizer.step()
    return weighting


def test_the_total_of_classifications_is_the_loss_over_the_variance_plus_the_log_of_sigma():
    sigma = torch.tensor([0.7, 1.9])
    total = uncertainty_total(LOSSES, torch.log(sigma**2), torch.tensor([CLASSIFICATION, CLASSIFICATION]))
    by_hand = 1.4 / 0.7**2 + math.log(0.7) + 0.5 / 1.9**2 + math.log(1.9)
    assert total.item() == pytest.approx(by_hand, rel=1e-6)


def test_a_regression_has_half_the_constant():
    total = uncertainty_total(torch.tensor([2.0]), torch.log(torch.tensor([9.0])), torch.tensor([REGRESSION]))
    assert total.item() == pytest.approx(2.0 / (2 * 9.0) + math.log(3.0), rel=1e-6)


def test_learned_weights_settle_at_one_over_twice_the_loss_so_the_harder_task_gets_less():
    weights = settled(UncertaintyWeighting([CLASSIFICATION] * 2)).effective().tolist()
    assert weights == pytest.approx([1 / 2.8, 1.0], rel=1e-3)


def test_the_learned_total_falls_below_zero_so_it_is_no_objective():
    weighting = settled(UncertaintyWeighting([CLASSIFICATION] * 2), torch.tensor([0.01, 0.01]))
    assert weighting(torch.tensor([0.01, 0.01])).item() < -2


def test_a_log_variance_stays_within_its_bound_and_finds_its_way_back():
    weighting = UncertaintyWeighting([CLASSIFICATION])
    with torch.no_grad():
        weighting.raw_log_variances.fill_(-10.0)
    assert weighting.log_variances.item() > -LARGEST_LOG_VARIANCE
    assert weighting.effective().item() < math.exp(LARGEST_LOG_VARIANCE)
    settled(weighting, torch.tensor([1.0]), steps=2000)
    assert weighting.effective().item() == pytest.approx(0.5, rel=1e-2)


def test_the_losses_gradient_is_scaled_by_the_effective_weight():
    weighting = UncertaintyWeighting([CLASSIFICATION] * 2)
    with torch.no_grad():
        weighting.raw_log_variances.copy_(torch.tensor([0.3, -0.8]))
    losses = LOSSES.clone().requires_grad_()
    weighting(losses).backward()
    torch.testing.assert_close(losses.grad, weighting.effective())


def test_half_precision_losses_are_weighed_in_single_precision():
    weighting = UncertaintyWeighting([CLASSIFICATION] * 2)
    assert weighting(LOSSES.half()).dtype == torch.float32


def test_learned_weights_are_in_the_optimizer_in_a_group_without_decay():
    weighting = UncertaintyWeighting([CLASSIFICATION] * 2)
    optimizer = build_optimizer(nn.Linear(2, 2), OptimizerConfig(weight_decay=0.1), weighting)
    groups = [group for group in optimizer.param_groups if group["params"][0] is weighting.raw_log_variances]
    assert [group["weight_decay"] for group in groups] == [0.0]


def test_the_dynamic_average_of_a_hand_worked_pair_of_epochs():
    weighting = DynamicAverageWeighting(2, temperature=2.0)
    weighting.end_epoch([1.0, 0.4])
    weighting.end_epoch([0.9, 0.2])
    first, second = math.exp(0.9 / 2), math.exp(0.5 / 2)
    assert weighting.effective().tolist() == pytest.approx(
        [2 * first / (first + second), 2 * second / (first + second)]
    )


def test_the_dynamic_average_begins_equal_and_then_follows_the_last_two_epochs():
    weighting = DynamicAverageWeighting(2, temperature=1.0)
    weighting.end_epoch([1.0, 1.0])
    assert weighting.effective().tolist() == [1.0, 1.0]
    weighting.end_epoch([1.0, 0.5])
    slow, fast = weighting.effective().tolist()
    assert slow > 1 > fast
    assert weighting(LOSSES).item() == pytest.approx(slow * 1.4 + fast * 0.5)


def test_a_task_without_a_loss_leaves_the_dynamic_average_finite():
    weighting = DynamicAverageWeighting(2, temperature=2.0)
    for losses in ([1.0, 0.0], [0.5, 1.0], [0.5, 0.0], [0.5, 0.5]):
        weighting.end_epoch(losses)
    assert weighting.effective().tolist() == [1.0, 1.0]
    weighting.end_epoch([0.4, 0.5])
    assert weighting.effective().isfinite().all()


def test_what_the_dynamic_average_remembers_survives_a_restart():
    whole, first = DynamicAverageWeighting(2, temperature=2.0), DynamicAverageWeighting(2, temperature=2.0)
    for weighting in (whole, first):
        weighting.end_epoch([1.0, 1.0])
    restored = DynamicAverageWeighting(2, temperature=2.0)
    restored.load_state_dict(first.state_dict())
    for weighting in (whole, restored):
        weighting.end_epoch([0.9, 0.3])
    torch.testing.assert_close(restored.effective(), whole.effective(), rtol=0, atol=0)


def gradnorm_by_autograd(weights, net, heads, images, targets, first_losses, *, alpha, rate):
    """The paper's algorithm as printed: sum |G - mean(G) r^alpha| differentiated by the weights."""
    weights = weights.clone().requires_grad_()
    losses = [(head(net(images)) - target).square().mean() for head, target in zip(heads, targets, strict=True)]
    pulls = torch.stack(
        [
            torch.autograd.grad(weight * loss, net.weight, create_graph=True, retain_graph=True)[0].norm()
            for weight, loss in zip(weights, losses, strict=True)
        ]
    )
    ratios = torch.stack(losses).detach() / first_losses
    wanted = (pulls.mean() * (ratios / ratios.mean()) ** alpha).detach()
    (pulls - wanted).abs().sum().backward()
    stepped = weights.detach() - rate * weights.grad
    return stepped * len(weights) / stepped.sum()


@pytest.mark.parametrize("alpha", [0.0, 0.12, 1.5])
def test_a_step_of_gradnorm_is_that_of_the_papers_loss_differentiated_by_the_weights(alpha):
    torch.manual_seed(0)
    net, heads = nn.Linear(6, 4), [nn.Linear(4, 2) for _ in range(3)]
    images, targets = torch.randn(8, 6), [scale * torch.randn(8, 2) for scale in (0.3, 1.0, 4.0)]
    weights, first_losses = torch.tensor([0.5, 1.1, 1.4]), torch.tensor([2.0, 0.9, 25.0])
    expected = gradnorm_by_autograd(weights, net, heads, images, targets, first_losses, alpha=alpha, rate=0.025)
    losses = [(head(net(images)) - target).square().mean() for head, target in zip(heads, targets, strict=True)]
    norms = [torch.autograd.grad(loss, net.weight, retain_graph=True)[0].norm().item() for loss in losses]
    weighting = GradNormWeighting(3, alpha=alpha)
    weighting.load_state_dict({"weights": weights, "first_losses": first_losses})
    weighting.end_update([loss.item() for loss in losses], norms)
    torch.testing.assert_close(weighting.effective(), expected)
    assert weighting.effective().sum().item() == pytest.approx(3)


def test_gradnorm_evens_the_pulls_out_and_then_favours_the_task_that_lags():
    weighting, norms = GradNormWeighting(2, alpha=1.5), [4.0, 1.0]
    for _ in range(200):
        weighting.end_update([1.0, 1.0], norms)
    pulls = weighting.effective() * torch.tensor(norms)
    assert pulls[0] / pulls[1] == pytest.approx(1, rel=0.3)
    for _ in range(200):
        weighting.end_update([0.5, 0.9], norms)
    pulls = weighting.effective() * torch.tensor(norms)
    assert pulls[1] > 1.5 * pulls[0]


def test_gradnorm_never_loses_a_task_whose_gradient_is_huge():
    weighting = GradNormWeighting(2, alpha=1.5)
    weighting.end_update([1.0, 1.0], [1e4, 1.0])
    assert (weighting.effective() > 0).all()
    assert weighting.effective().sum().item() == pytest.approx(2)


def test_gradnorm_waits_for_an_update_with_a_label_of_every_task():
    weighting = GradNormWeighting(2, alpha=1.5)
    weighting.end_update([1.0, 0.0], [2.0, 0.0])
    assert weighting.effective().tolist() == [1.0, 1.0]
    weighting.end_update([1.0, 0.5], [2.0, 1.0])
    weaker, stronger = weighting.effective().tolist()
    assert weaker < 1 < stronger
    assert weighting(LOSSES).item() == pytest.approx(1.4 * weaker + 0.5 * stronger)


def test_what_gradnorm_remembers_survives_a_restart():
    whole, restored = GradNormWeighting(2, alpha=1.5), GradNormWeighting(2, alpha=1.5)
    whole.end_update([2.0, 1.0], [2.0, 1.0])
    restored.load_state_dict(whole.state_dict())
    for weighting in (whole, restored):
        weighting.end_update([0.5, 0.9], [1.0, 1.0])
    torch.testing.assert_close(restored.effective(), whole.effective(), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("config", "kind", "weights"),
    [
        (LossWeightingConfig(weighting="equal"), FixedWeighting, [1.0, 1.0]),
        (LossWeightingConfig(weighting="fixed", fixed_weights=(1.5, 0.5)), FixedWeighting, [1.5, 0.5]),
        (LossWeightingConfig(), UncertaintyWeighting, [1.0, 1.0]),
        (LossWeightingConfig(weighting="dynamic"), DynamicAverageWeighting, [1.0, 1.0]),
        (LossWeightingConfig(weighting="gradnorm", gradnorm_alpha=0.12), GradNormWeighting, [1.0, 1.0]),
    ],
)
def test_each_name_builds_its_weighting(config, kind, weights):
    weighting = config.build([CLASSIFICATION] * 2)
    assert type(weighting) is kind
    assert weighting.effective().tolist() == weights
    assert bool(list(weighting.parameters())) == (config.weighting == "uncertainty")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"weighting": "uncertanty"}, "uncertanty is not a weighting; did you mean uncertainty"),
        ({"weighting": "fixed"}, "weighting is fixed and fixed_weights None; the two go together"),
        ({"fixed_weights": (1.0, 1.0)}, "weighting is uncertainty and fixed_weights"),
        ({"weighting": "fixed", "fixed_weights": (1.0, 0.0)}, "each must be positive"),
        ({"gradnorm_alpha": -1.0}, "gradnorm_alpha is -1.0; it must be 0 or more"),
        ({"weighting_temperature": 0.0}, "weighting_temperature is 0.0; it must be positive"),
    ],
)
def test_wrong_settings_are_refused_with_a_sentence(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        LossWeightingConfig(**settings)


def test_a_weight_too_few_is_a_sentence():
    with pytest.raises(ValueError, match="fixed_weights has 1 weights; there are 2 tasks"):
        LossWeightingConfig(weighting="fixed", fixed_weights=(1.0,)).build([CLASSIFICATION] * 2)
