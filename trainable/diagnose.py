"""Checks a configuration before or after a long training: data, network, one gradient, one curve.

    python -m trainable.diagnose --config results/dishes/<run>/best/config.json
    python -m trainable.diagnose --config results/dishes/<run>/best/config.json --groups

The first runs one batch forward and backward through a new network; a running training is not affected. Exit status 1:
an error was found; 0: at most warnings. Each check is a pure function that returns findings. The second prints which
parameters train at which peak rate, and which do not decay; it opens no data.
"""

import argparse
import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trainable.build_trainer import build_trainer
from trainable.config import TrialConfig
from trainable.configuration.config_options import add_config_file
from trainable.console.command_line import run_main
from trainable.console.json_output import write_json
from trainable.console.process import log_to
from trainable.data.io.counted import counted
from trainable.data.io.findings import Finding, Severity, errors_among, format_table
from trainable.models.output import ModelOutput, as_model_output
from trainable.reporting.output_folder import read_curve
from trainable.run_setup import open_data
from trainable.tasks.registry import get_task
from trainable.techniques.constant_predictions import ADVICE, constant_shares
from trainable.techniques.memory import MemoryShortage, shortages_named
from trainable.techniques.optim.optimizer import ParameterGroup, parameter_groups
from trainable.techniques.parallel.random_streams import seed_everything
from trainable.workloads.exported_config import ExportedConfig, read_exported_config
from trainable.workloads.registry import task_of

PROG = "python -m trainable.diagnose"
SMALLEST_NETWORK = 100_000
VANISHING_NORM, EXPLODING_NORM = 1e-6, 100.0
IMBALANCE = 3.0
"""Largest acceptable ratio of the largest class to the smallest."""
FEWEST_OF_A_CLASS = 2
OVERFITTING_GAP = 0.15
"""Training accuracy over that of validation."""
_UNREACHED = "It is never trained: connect it to the loss, or freeze it."
logger = logging.getLogger("trainable.diagnose")


def check_images(images: Tensor) -> list[Finding]:
    """Finds images (B, 3, H, W) that are not finite or outside [0, 1]."""
    low, high = float(images.min()), float(images.max())
    shown = f"shape {tuple(images.shape)}, {images.dtype}, values {low:.3f} to {high:.3f}"
    if not images.isfinite().all() or low < 0 or high > 1:
        return [_found("images", shown, "Images must be finite and in [0, 1]; the network normalises them itself.")]
    return [_found("images", shown, "OK.", Severity.NOTE)]


def check_outputs(output: ModelOutput, loss: Tensor) -> list[Finding]:
    """Finds predictions or losses that are not finite."""
    predictions = output.predictions.detach()
    low, high = float(predictions.min()), float(predictions.max())
    shown = f"shape {tuple(predictions.shape)}, values {low:.3f} to {high:.3f}, loss {float(loss.detach()):.4f}"
    if not (predictions.isfinite().all() and loss.isfinite()):
        return [_found("predictions", shown, "They must be finite: check the images, the weights and the loss.")]
    return [_found("predictions", shown, "OK.", Severity.NOTE)]


def check_gradients(parameters: Mapping[str, nn.Parameter]) -> list[Finding]:
    """Finds trainable parameters without a gradient, and vanishing or exploding gradient norms."""
    trained = {name: parameter for name, parameter in parameters.items() if parameter.requires_grad}
    findings = [
        _found(name, f"has no gradient, {'none at all' if parameter.grad is None else 'only zeros'}", _UNREACHED)
        for name, parameter in trained.items()
        if parameter.grad is None or not parameter.grad.any()
    ]
    norm = float(torch.nn.utils.get_total_norm([p.grad for p in trained.values() if p.grad is not None]))
    if norm < VANISHING_NORM:
        action = "Nothing would be learned: raise max_lr, check the loss, or start from trained weights."
        return [*findings, _found("gradient", f"norm {norm:.2e}, below {VANISHING_NORM:g}", action, Severity.WARNING)]
    if norm > EXPLODING_NORM:
        action = "Clip it with max_grad_norm, and lower max_lr."
        return [*findings, _found("gradient", f"norm {norm:.2e}, above {EXPLODING_NORM:g}", action, Severity.WARNING)]
    return [*findings, _found("gradient", f"norm {norm:.2e}", "OK.", Severity.NOTE)]


def check_size(model: nn.Module) -> list[Finding]:
    number = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    if number >= SMALLEST_NETWORK:
        return []
    action = "If accuracy stays low, take a larger backbone."
    return [
        _found("network", f"has {counted(number, 'parameter')}, below {SMALLEST_NETWORK}", action, Severity.WARNING)
    ]


def check_classes(labels: np.ndarray, class_names: Sequence[str]) -> list[Finding]:
    """Describes the class distribution of labels (N,), and whether it is too uneven."""
    counts = np.bincount(labels[labels >= 0], minlength=len(class_names))
    shown = ", ".join(f"{name} {number}" for name, number in zip(class_names, counts, strict=True))
    if counts.min() * IMBALANCE < counts.max():
        action = "Classes are uneven: class_weights makes up for it, as do more images of the rare ones."
        return [_found("training split", shown, action, Severity.WARNING)]
    return [_found("training split", shown, "Class balance is OK.", Severity.NOTE)]


def check_batches(batches: Iterable[tuple[Any, Tensor]], class_names: Sequence[str]) -> list[Finding]:
    """Finds classes with too few images in some batches of an epoch."""
    counts = torch.stack([torch.bincount(labels[labels >= 0], minlength=len(class_names)) for _, labels in batches])
    poor = (counts < FEWEST_OF_A_CLASS).sum(0)
    return [
        _found(
            name,
            f"fewer than {FEWEST_OF_A_CLASS} images in {number} of {counted(len(counts), 'batch', 'batches')}",
            "Raise batch_size, so that an update sees the class; class_weights makes up for some of it.",
            Severity.WARNING,
        )
        for name, number in zip(class_names, poor.tolist(), strict=True)
        if number
    ]


def check_curve(last: Mapping[str, float]) -> list[Finding]:
    """Finds constant predictions or overfitting in the metrics of a training's last epoch."""
    findings = [
        _found(name, f"is {share:.2f}: predictions are constant", f"{ADVICE.capitalize()}.", Severity.WARNING)
        for name, share in constant_shares(last).items()
    ]
    if not {"train/accuracy", "val/accuracy"} <= last.keys():
        return findings
    if last["train/accuracy"] - last["val/accuracy"] <= OVERFITTING_GAP:
        return findings
    action = "It overfits: dropout, weight_decay, mixing, label_smoothing, early_stopping; preset regularised has all."
    shown = f"training accuracy {last['train/accuracy']:.3f}, validation {last['val/accuracy']:.3f}"
    return [*findings, _found("curve", shown, action, Severity.WARNING)]


def _found(what: str, problem: str, action: str, severity: Severity = Severity.ERROR) -> Finding:
    return Finding(file=what, problem=problem, action=action, severity=severity)


def main(arguments: Sequence[str] | None = None, *, prog: str = PROG) -> int:
    """Runs the command and returns its exit status."""
    options = build_parser(prog).parse_args(arguments)
    log_to(sys.stderr if options.json else sys.stdout)
    try:
        exported = read_exported_config(options.config)
        if options.groups:
            groups = groups_of(task_of(exported.config)[1])
            if options.json:
                write_json([_as_facts(group) for group in groups])
            else:
                logger.info("%s", format_groups(groups))
            return 0
        with shortages_named():
            findings = diagnose(exported)
        if options.curve is not None:
            findings += check_curve(read_curve(options.curve)[-1]["metrics"])
    except (ValueError, OSError, MemoryShortage) as error:
        logger.error("error: %s", error)
        return 2
    if options.json:
        write_json([asdict(finding) for finding in findings])
    else:
        logger.info("%s", format_table(findings))
    return 1 if errors_among(findings) else 0


def diagnose(exported: ExportedConfig) -> list[Finding]:
    """All findings about a configuration, on the CPU.

    Raises:
        ValueError: the data cannot be used.
    """
    (task, config), device = task_of(exported.config), torch.device("cpu")
    seed_everything(config.seed)
    splits = open_data(config, exported.data_fingerprint)
    batches = task.training_batches(config, splits.train, device)
    batches.set_epoch(0)
    images, targets = next(iter(batches))
    trainer = build_trainer(task, replace(config, compile_backend=None), updates_per_epoch=len(batches), device=device)
    model, supervision = trainer.model.train(), trainer.supervision
    augmentation = trainer.techniques.augmentation
    seen = (images, targets) if augmentation is None else augmentation.apply(images, targets)
    losses = supervision.losses(lambda *inputs: as_model_output(model(*inputs)), *seen)
    findings = check_images(images) + check_outputs(losses.output, losses.total)
    if not errors_among(findings):
        losses.total.backward()
        findings += check_gradients({**dict(model.named_parameters()), **dict(supervision.named_parameters())})
    findings += check_size(model)
    if isinstance(targets, torch.Tensor) and not targets.is_floating_point():
        findings += check_classes(splits.train.labels, splits.train.class_names)
        findings += check_batches(batches, splits.train.class_names)
    return findings or [Finding(file=task.name, problem="no finding", action="Nothing to do.", severity=Severity.NOTE)]


def groups_of(config: TrialConfig) -> list[ParameterGroup]:
    """The optimizer's groups of a new network of this configuration."""
    task = get_task(config.workload)
    return parameter_groups(task.build_model(config), config.optimizer, task.build_supervision(config))


def format_groups(groups: Sequence[ParameterGroup]) -> str:
    """One line per group: which trains at which rate; then the names of all parameters without weight decay."""
    lines = []
    for group in groups:
        numbers = sum(parameter.numel() for parameter in group.parameters.values())
        tensors = f"{counted(len(group.parameters), 'parameter')}, {numbers:,} numbers"
        lines.append(f"{group.part:<8}  peak rate {group.lr:.2e}  weight decay {group.weight_decay:g}  {tensors}")
    undecayed = [name for group in groups if not group.weight_decay for name in group.parameters]
    return "\n".join([*lines, f"without weight decay ({len(undecayed)}):", *(f"  {name}" for name in undecayed)])


def _as_facts(group: ParameterGroup) -> dict[str, object]:
    return {
        "part": group.part,
        "peak_rate": group.lr,
        "weight_decay": group.weight_decay,
        "parameters": {name: list(parameter.shape) for name, parameter in group.parameters.items()},
    }


def build_parser(prog: str = PROG) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description="Check a configuration: data, network, gradient, curve.")
    add_config_file(parser)
    curve_help = "curve.jsonl of a training, to look for overfitting and for constant predictions"
    parser.add_argument("--curve", type=Path, metavar="FILE", help=curve_help)
    parser.add_argument("--groups", action="store_true", help="print the optimizer's groups of parameters instead")
    parser.add_argument("--json", action="store_true", help="print the findings, or the groups, as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(run_main(main))
