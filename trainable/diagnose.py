"""Looks a configuration over before hours are spent on it, or after they were: data, network, one gradient, one curve.

    python -m trainable.diagnose --config results/dishes/<run>/best/config.json

One batch goes forward and back through a network of its own; nothing that trains is touched. Exit status 1 says that
something is wrong, 0 that at most something is worth a thought.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from trainable.data.findings import Finding, Severity, errors_among, format_table
from trainable.handover import Handover, read_handover
from trainable.health import (
    check_batches,
    check_classes,
    check_curve,
    check_gradients,
    check_images,
    check_outputs,
    check_size,
)
from trainable.models.output import as_model_output
from trainable.opening import open_data
from trainable.output_folder import read_curve
from trainable.tasks.registry import get_task
from trainable.techniques.random_streams import seed_everything
from trainable.training_run import build_trainer

logger = logging.getLogger("trainable.diagnose")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        findings = diagnose(read_handover(options.config))
        if options.curve is not None:
            findings += check_curve(read_curve(options.curve)[-1]["metrics"])
    except (ValueError, OSError) as error:
        logger.error("error: %s", error)
        return 2
    logger.info("%s", format_table(findings))
    return 1 if errors_among(findings) else 0


def diagnose(handover: Handover) -> list[Finding]:
    """All findings about a configuration, on the CPU.

    Raises:
        ValueError: the data cannot be used.
    """
    config, task, device = handover.config, get_task(handover.config.workload), torch.device("cpu")
    seed_everything(config.seed)
    splits = open_data(config, handover.data_fingerprint)
    batches = task.training_batches(config, splits.train, device)
    batches.set_epoch(0)
    images, targets = next(iter(batches))
    trainer = build_trainer(task, replace(config, compile_backend=None), updates_per_epoch=len(batches), device=device)
    model, supervision = trainer.model.train(), trainer.supervision
    seen = (images, targets) if trainer.augmentation is None else trainer.augmentation.apply(images, targets)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trainable.diagnose", description="Look a configuration over: data, network, gradient, curve."
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="config.json of an export or preset")
    parser.add_argument("--curve", type=Path, metavar="FILE", help="curve.jsonl of a training, to look for overfitting")
    return parser


if __name__ == "__main__":
    sys.exit(main())
