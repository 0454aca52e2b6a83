"""From a configuration to a trainer: its network, optimizer, schedule and techniques."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from trainable.config import TrialConfig
from trainable.models.backbones.weight_files import load_fitting_parts
from trainable.tasks.task import Task
from trainable.techniques.best_epoch import Monitor, resolve_monitor
from trainable.techniques.memory import shortages_named
from trainable.techniques.optim.averaging import WeightAverage
from trainable.techniques.optim.older_torch import keep_backward_buffers
from trainable.techniques.optim.optimizer import Algorithm, build_optimizer
from trainable.techniques.optim.precision import resolve_precision
from trainable.techniques.optim.unfreezing import GradualUnfreezing
from trainable.techniques.parallel.data_parallel import Ranks
from trainable.trainer import Trainer


def build_trainer(
    task: Task[Any],
    config: TrialConfig,
    *,
    updates_per_epoch: int,
    device: torch.device | str,
    algorithm: Algorithm | None = None,
    ranks: Ranks | None = None,
) -> Trainer:
    """Builds the trainer of a configuration: averaging, unfreezing and clipping here, other techniques by the task.

    Without `algorithm`, the optimizer's is that of the configuration.
    """
    device = torch.device(device)
    model, supervision = build_network(task, config).to(device), task.build_supervision(config).to(device)
    if config.compile_backend is not None and supervision.repeats_backward:
        keep_backward_buffers()
    if ranks is not None:
        ranks.prepare(model, supervision, seed=config.seed)
    optimizer = build_optimizer(model, config.optimizer, supervision, algorithm=algorithm)
    averaging, mode = config.averaging, monitor_of(task, config).mode
    techniques = replace(
        task.build_techniques(config, model, optimizer),
        max_grad_norm=config.max_grad_norm,
        unfreezing=_built_unfreezing(config, model),
        averaging=None if averaging is None else WeightAverage(model, decay=averaging.decay(updates_per_epoch)),
    )
    # That of the fastest group, which a custom layer may be.
    max_lr, total_epochs = max(group["lr"] for group in optimizer.param_groups), config.max_epochs
    return Trainer(
        model,
        optimizer,
        supervision,
        device,
        scheduler=config.schedule.build(optimizer, total_epochs=total_epochs, max_lr=max_lr, mode=mode),
        precision=resolve_precision(config.precision, device),
        techniques=techniques,
        ranks=ranks,
    )


def monitor_of(task: Task[Any], config: TrialConfig) -> Monitor:
    """The metric that decides about the best epoch, early stopping and a plateau."""
    return resolve_monitor(config.best_epoch, objective=task.objective, mode=task.mode, metric_names=task.metric_names)


@shortages_named()
def build_network(task: Task[Any], config: TrialConfig) -> nn.Module:
    """Builds the task's network, compiled or with gradient checkpointing if the configuration says so."""
    model = task.build_model(config)
    if config.init_weights is not None:
        load_fitting_parts(model, config.init_weights)
    if config.gradient_checkpointing:
        enable: Callable[[], None] | None = getattr(model, "enable_gradient_checkpointing", None)
        if enable is None:
            raise ValueError(
                f"gradient_checkpointing is on, but the network of {config.workload} has none; turn it off."
            )
        enable()
    if config.compile_backend is not None:
        # A process keeps eight compiled forms of a function, and runs it uncompiled after that: a worker of a search
        # would use them up in its first few trials.
        torch.compiler.reset()
        # In place, so that the names of the weights stay what they are.
        model.compile(backend=config.compile_backend)
    return model


def _built_unfreezing(config: TrialConfig, model: nn.Module) -> GradualUnfreezing | None:
    """Unfreezing of the network's attribute `backbone`, in any workload; None where it is off."""
    backbone = getattr(model, "backbone", None)
    has_backbone = isinstance(backbone, nn.Module)
    if not has_backbone and config.optimizer.backbone_lr_ratio != 1:
        raise ValueError(
            f"backbone_lr_ratio is {config.optimizer.backbone_lr_ratio:g}, but the network of {config.workload} has no "
            "part called backbone; set it to 1."
        )
    if config.unfreezing is None:
        return None
    if not isinstance(backbone, nn.Module):
        raise ValueError(
            f"unfreezing is on, but the network of {config.workload} has no part called backbone; turn it off."
        )
    return GradualUnfreezing(backbone, config.unfreezing.milestones, total_epochs=config.max_epochs)
