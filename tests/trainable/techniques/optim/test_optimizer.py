import pytest
import torch
from torch import nn

from trainable.techniques.optim.optimizer import (
    OptimizerConfig,
    build_optimizer,
    check_all_trained,
    parameter_groups,
)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Conv2d(3, 4, 3)
        self.head = nn.Sequential(nn.GroupNorm(2, 4), nn.Conv2d(4, 1, 1))


def test_every_parameter_is_in_exactly_one_group():
    net = Net()
    check_all_trained(build_optimizer(net, OptimizerConfig()), [net])


def test_vectors_do_not_decay_and_kernels_do():
    net = Net()
    for group in build_optimizer(net, OptimizerConfig(weight_decay=0.3)).param_groups:
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.3 if parameter.ndim > 1 else 0.0)


def test_the_backbone_trains_at_its_share_of_the_rate():
    net = Net()
    optimizer = build_optimizer(net, OptimizerConfig(max_lr=1e-2, backbone_lr_ratio=0.1))
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates[id(net.backbone.weight)] == pytest.approx(1e-3)
    assert rates[id(net.head[1].weight)] == pytest.approx(1e-2)


def test_a_third_group_trains_at_a_rate_of_its_own_be_it_of_the_heads_or_of_the_backbone():
    net = Net()
    for layer, parameter in (("head.1", net.head[1].weight), ("backbone", net.backbone.weight)):
        config = OptimizerConfig(max_lr=1e-4, backbone_lr_ratio=0.1, custom_layers=(layer,), custom_lr_ratio=2.0)
        optimizer = build_optimizer(net, config)
        check_all_trained(optimizer, [net])
        rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
        assert rates[id(parameter)] == pytest.approx(2e-4)
        assert rates[id(net.head[0].weight)] == pytest.approx(1e-4)


def test_groups_know_the_names_of_what_decays_and_what_does_not():
    groups = parameter_groups(Net(), OptimizerConfig(weight_decay=0.3))
    named = {(group.part, group.weight_decay): [*group.parameters] for group in groups}
    assert named == {
        ("backbone", 0.3): ["backbone.weight"],
        ("backbone", 0.0): ["backbone.bias"],
        ("heads", 0.0): ["head.0.weight", "head.0.bias", "head.1.bias"],
        ("heads", 0.3): ["head.1.weight"],
    }


def test_a_custom_layer_that_is_not_in_the_network_is_named_with_the_nearest():
    config = OptimizerConfig(custom_layers=("heads",), custom_lr_ratio=2.0)
    with pytest.raises(ValueError, match="heads is not a layer with trainable parameters; did you mean head"):
        parameter_groups(Net(), config)


def test_a_parameter_that_would_never_be_trained_is_named():
    net = Net()
    with pytest.raises(ValueError, match=r"missing: .*backbone\.bias"):
        check_all_trained(torch.optim.SGD([net.backbone.weight], lr=0.1), [net])


@pytest.mark.parametrize(
    "bad",
    [
        {"max_lr": 0.0},
        {"weight_decay": -1.0},
        {"backbone_lr_ratio": 2.0},
        {"beta1": 1.0},
        {"custom_layers": ("head",)},
        {"custom_lr_ratio": 2.0},
        {"custom_lr_ratio": -1.0, "custom_layers": ("head",)},
    ],
)
def test_values_out_of_range_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        OptimizerConfig(**bad)
