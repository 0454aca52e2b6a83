import pytest
import torch
from torch import nn

from trainable.techniques.optim.optimizer import OptimizerConfig, build_optimizer, check_all_trained


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


def test_a_parameter_that_would_never_be_trained_is_named():
    net = Net()
    with pytest.raises(ValueError, match=r"missing: .*backbone\.bias"):
        check_all_trained(torch.optim.SGD([net.backbone.weight], lr=0.1), [net])


@pytest.mark.parametrize("bad", [{"max_lr": 0.0}, {"weight_decay": -1.0}, {"backbone_lr_ratio": 2.0}, {"beta1": 1.0}])
def test_values_out_of_range_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        OptimizerConfig(**bad)
