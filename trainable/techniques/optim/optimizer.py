"""The optimizer, over parameter groups that decay only what should decay.

What: matrices and convolution kernels get weight decay; biases, normalisation weights and other vectors do not. A
pre-trained backbone may train at a fraction of the rate of what is new. Parameters of the loss, such as learned task
weights, form a group that never decays.
Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019, https://arxiv.org/abs/1711.05101;
He et al., Bag of Tricks for Image Classification, 2019, https://arxiv.org/abs/1812.01187 (no decay on vectors).
Cost: none. Off: `weight_decay=0`, `backbone_lr_ratio=1`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn

from trainable.fields import unknown_name

ALGORITHMS = ("adamw", "adam", "sgd", "rmsprop")


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """Which algorithm, and its settings."""

    algorithm: str = "adamw"
    """adamw, adam, sgd or rmsprop; the decay of all but adamw is part of the gradient."""
    max_lr: float = 3e-3
    """Peak learning rate of the fastest group, > 0."""
    weight_decay: float = 0.01
    """Decoupled weight decay, >= 0."""
    backbone_lr_ratio: float = 1.0
    """Rate of the backbone relative to the rest, 0 to 1; 0 freezes it."""
    beta1: float = 0.9
    """Decay of the mean gradient, of adamw and adam, in [0, 1)."""
    beta2: float = 0.999
    """Decay of the mean squared gradient, of adamw and adam, in [0, 1)."""
    momentum: float = 0.9
    """Momentum of sgd and rmsprop, in [0, 1)."""
    nesterov: bool = False
    """Nesterov momentum; sgd only."""

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise ValueError(unknown_name("algorithm", self.algorithm, ALGORITHMS))
        if self.nesterov and (self.algorithm != "sgd" or not self.momentum):
            raise ValueError("nesterov is on, but it needs algorithm=sgd and a momentum above 0.")
        if not self.max_lr > 0:
            raise ValueError(f"max_lr is {self.max_lr}; it must be positive.")
        if not self.weight_decay >= 0:
            raise ValueError(f"weight_decay is {self.weight_decay}; it must be 0 or more.")
        if not 0 <= self.backbone_lr_ratio <= 1:
            raise ValueError(f"backbone_lr_ratio is {self.backbone_lr_ratio}; it must lie between 0 and 1.")
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1):
            raise ValueError(f"beta1 and beta2 are {self.beta1} and {self.beta2}; both must lie in [0, 1).")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum is {self.momentum}; it must lie in [0, 1).")


Algorithm = Callable[[list[dict], OptimizerConfig], torch.optim.Optimizer]


class WithoutAlgorithm(torch.optim.Optimizer):
    """Parameter groups that nothing updates, to check a configuration: torch's own bring in its compiler, a second."""

    def __init__(self, groups: list[dict], config: OptimizerConfig) -> None:
        self.param_groups, self.defaults, self.state = groups, {}, defaultdict(dict)


def build_optimizer(
    model: nn.Module, config: OptimizerConfig, loss: nn.Module | None = None, *, algorithm: Algorithm | None = None
) -> torch.optim.Optimizer:
    """Over every trainable parameter of `model` and `loss`; those named `backbone.*` get the backbone's rate."""
    groups = [
        {
            "params": parameters,
            "lr": config.max_lr * (config.backbone_lr_ratio if in_backbone else 1.0),
            "weight_decay": config.weight_decay if decays else 0.0,
        }
        for (in_backbone, decays), parameters in _grouped(model).items()
    ]
    loss_parameters = [] if loss is None else [parameter for parameter in loss.parameters() if parameter.requires_grad]
    if loss_parameters:
        groups.append({"params": loss_parameters, "lr": config.max_lr, "weight_decay": 0.0})
    return (algorithm or _fused)(groups, config)


def check_all_trained(optimizer: torch.optim.Optimizer, modules: Iterable[nn.Module]) -> None:
    """Every trainable parameter of the modules must be in exactly one group of the optimizer.

    Raises:
        ValueError: a parameter is missing, so it would never be trained, or is in two groups.
    """
    held = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    names = {id(p): name for module in modules for name, p in module.named_parameters() if p.requires_grad}
    missing = [name for key, name in names.items() if key not in held]
    twice = [name for key, name in names.items() if held.count(key) > 1]
    if missing or twice:
        raise ValueError(
            f"Each trainable parameter must be in exactly one optimizer group; missing: {missing[:5] or 'none'}, "
            f"in several groups: {twice[:5] or 'none'}."
        )


def _grouped(model: nn.Module) -> dict[tuple[bool, bool], list[nn.Parameter]]:
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((name.startswith("backbone."), parameter.ndim > 1), []).append(parameter)
    return groups


def _fused(groups: list[dict], config: OptimizerConfig) -> torch.optim.Optimizer:
    """Fused where torch has it: one pass over each parameter, on a CPU a tenth of the time of its other ways."""
    if config.algorithm in ("adamw", "adam"):
        kind = torch.optim.AdamW if config.algorithm == "adamw" else torch.optim.Adam
        return kind(groups, lr=config.max_lr, betas=(config.beta1, config.beta2), fused=True)
    if config.algorithm == "rmsprop":
        return torch.optim.RMSprop(groups, lr=config.max_lr, momentum=config.momentum, foreach=True)
    momentum, nesterov = config.momentum, config.nesterov
    return torch.optim.SGD(groups, lr=config.max_lr, momentum=momentum, nesterov=nesterov, fused=True)
