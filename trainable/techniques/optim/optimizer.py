"""The optimizer, over parameter groups that decay only what should decay.

What: parameters of two and more dimensions get weight decay; vectors, such as biases and normalisation weights, do not.
So tables of biases decay: one for each expert, those of relative positions. A pre-trained backbone may train at a
fraction of the rate of the heads, and layers of one's choice at a third rate. Parameters of the loss, such as learned
task weights, form a group that never decays.
Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019, https://arxiv.org/abs/1711.05101;
He et al., Bag of Tricks for Image Classification, 2019, https://arxiv.org/abs/1812.01187 (no decay on vectors).
Cost: none. Off: `weight_decay=0`, `backbone_lr_ratio=1`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn

from trainable.configuration.fields import unknown_name

ALGORITHMS = ("adamw", "adam", "sgd", "rmsprop")


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """The algorithm and its settings."""

    algorithm: str = "adamw"
    """adamw, adam, sgd or rmsprop; the decay of all but adamw is part of the gradient."""
    max_lr: float = 3e-3
    """Peak learning rate of all that is neither backbone nor a custom layer, > 0."""
    weight_decay: float = 0.01
    """Weight decay, >= 0: decoupled with adamw, L2 regularisation with the others."""
    backbone_lr_ratio: float = 1.0
    """Rate of the backbone relative to `max_lr`, 0 to 1; 0 freezes it."""
    custom_layers: tuple[str, ...] | None = None
    """Layers with a rate of their own, by their names in the network, such as density_head or backbone.stages.3."""
    custom_lr_ratio: float | None = None
    """Rate of these layers relative to `max_lr`, 0 or more: 2 is twice as fast as the heads."""
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
        self._check_custom()
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1):
            raise ValueError(f"beta1 and beta2 are {self.beta1} and {self.beta2}; both must lie in [0, 1).")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum is {self.momentum}; it must lie in [0, 1).")

    def _check_custom(self) -> None:
        if bool(self.custom_layers) != (self.custom_lr_ratio is not None):
            raise ValueError(
                f"custom_layers is {self.custom_layers} and custom_lr_ratio {self.custom_lr_ratio}; give both, or "
                "neither."
            )
        if self.custom_lr_ratio is not None and self.custom_lr_ratio < 0:
            raise ValueError(f"custom_lr_ratio is {self.custom_lr_ratio}; it must be 0 or more.")


Algorithm = Callable[[list[dict], OptimizerConfig], torch.optim.Optimizer]


class WithoutAlgorithm(torch.optim.Optimizer):
    """Parameter groups that nothing updates, to check a configuration: torch's own bring in its compiler, a second."""

    def __init__(self, groups: list[dict], config: OptimizerConfig) -> None:
        self.param_groups, self.defaults, self.state = groups, {}, defaultdict(dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterGroup:
    """Parameters of one rate and one decay."""

    part: str
    """backbone, custom, heads or loss; heads are all the rest of the network."""
    lr: float
    """Peak rate."""
    weight_decay: float
    parameters: dict[str, nn.Parameter]
    """Parameters by their names in the network or the loss."""


def peak_rates(config: OptimizerConfig) -> dict[str, float]:
    """The peak rate of each part of a network: heads and backbone, and custom where there are such layers."""
    rates = {"heads": config.max_lr, "backbone": config.max_lr * config.backbone_lr_ratio}
    return rates if config.custom_lr_ratio is None else rates | {"custom": config.max_lr * config.custom_lr_ratio}


def parameter_groups(model: nn.Module, config: OptimizerConfig, loss: nn.Module | None = None) -> list[ParameterGroup]:
    """Divides the trainable parameters of `model` and `loss` into groups.

    Raises:
        ValueError: a custom layer is not in the model.
    """
    trainable = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    for layer in config.custom_layers or ():
        if not any(_lies_in(name, layer) for name in trainable):
            known = [name for name, _ in model.named_modules() if name]
            raise ValueError(f"custom_layers: {unknown_name('layer with trainable parameters', layer, known)}")
    rates = peak_rates(config)
    grouped: dict[tuple[str, float], dict[str, nn.Parameter]] = {}
    for name, parameter in trainable.items():
        decay = config.weight_decay if parameter.ndim > 1 else 0.0
        part = "backbone" if _lies_in(name, "backbone") else "heads"
        if any(_lies_in(name, layer) for layer in config.custom_layers or ()):
            part = "custom"
        grouped.setdefault((part, decay), {})[name] = parameter
    groups = [
        ParameterGroup(part=part, lr=rates[part], weight_decay=decay, parameters=parameters)
        for (part, decay), parameters in grouped.items()
    ]
    own = {} if loss is None else {name: p for name, p in loss.named_parameters() if p.requires_grad}
    if own:
        groups.append(ParameterGroup(part="loss", lr=config.max_lr, weight_decay=0.0, parameters=own))
    return groups


def build_optimizer(
    model: nn.Module, config: OptimizerConfig, loss: nn.Module | None = None, *, algorithm: Algorithm | None = None
) -> torch.optim.Optimizer:
    """Builds the optimizer over the `parameter_groups` of model and loss, at their peak rates."""
    groups = [
        {
            "params": [*group.parameters.values()],
            "part": group.part,
            "lr": group.lr,
            "weight_decay": group.weight_decay,
        }
        for group in parameter_groups(model, config, loss)
    ]
    return (algorithm or _fused)(groups, config)


def check_all_trained(optimizer: torch.optim.Optimizer, modules: Iterable[nn.Module]) -> None:
    """Checks that each trainable parameter of the modules is in exactly one group of the optimizer.

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


def _lies_in(name: str, layer: str) -> bool:
    return name == layer or name.startswith(f"{layer}.")


def _fused(groups: list[dict], config: OptimizerConfig) -> torch.optim.Optimizer:
    """Builds a fused optimizer if torch has one: on a CPU it takes a tenth of the time."""
    if config.algorithm in ("adamw", "adam"):
        kind = torch.optim.AdamW if config.algorithm == "adamw" else torch.optim.Adam
        return kind(groups, lr=config.max_lr, betas=(config.beta1, config.beta2), fused=True)
    if config.algorithm == "rmsprop":
        return torch.optim.RMSprop(groups, lr=config.max_lr, momentum=config.momentum, foreach=True)
    momentum, nesterov = config.momentum, config.nesterov
    return torch.optim.SGD(groups, lr=config.max_lr, momentum=momentum, nesterov=nesterov, fused=True)
