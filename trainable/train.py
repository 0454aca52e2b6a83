"""Trains one configuration, without Ray.

    python -m trainable.train --config results/moe/<run>/best/config.json

Writes the curve, a checkpoint after every epoch, TensorBoard events, and at the end weights and test metrics.
"""

import argparse
import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.tensorboard import SummaryWriter

from trainable.config import TrialConfig
from trainable.handover import Handover, read_handover
from trainable.tasks.registry import get_task
from trainable.techniques.checkpoint import CheckpointError
from trainable.training_run import EpochResult, TrainingRun

logger = logging.getLogger("trainable.train")

CHECKPOINT, CURVE, METRICS, WEIGHTS = "checkpoint.pt", "curve.jsonl", "metrics.json", "weights.pt"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    output = options.output or options.config.parent.parent / "train"
    try:
        train(_planned(options), output, resume=options.resume, device=options.device)
    except (ValueError, ArithmeticError) as error:
        logger.error("error: %s", error)
        return 2
    except OSError as error:
        logger.error("error: %s. What is in %s is whole; put that right, and add --resume.", error, output)
        return 2
    except KeyboardInterrupt:
        logger.info("Interrupted. Every finished epoch is saved; the same command with --resume goes on from there.")
        return 130
    return 0


def train(handover: Handover, output: Path, *, resume: bool = False, device: str = "auto") -> dict[str, float]:
    """Trains to the planned budget and returns the metrics on the test split.

    Raises:
        ValueError: the data is not what the configuration was found on, or `output` holds a run and `resume` is off.
        DivergedError: the training diverged.
    """
    _check_output(output, resume)
    torch.set_num_threads(handover.num_threads)
    run = open_run(handover, device)
    output.mkdir(parents=True, exist_ok=True)
    if resume and (output / CHECKPOINT).exists():
        _restore(run, output / CHECKPOINT)
    _cut_curve(output / CURVE, run.epoch)
    precision = run.trainer.precision
    logger.info("%s on %s in %s (%s)", run.config.workload, run.device, precision.name, precision.reason)
    logger.info("results in %s", output)
    with closing(SummaryWriter(output)) as board:
        run_epochs(run, on_epoch=lambda result: _record(run, result, output, board))
    metrics = run.test()
    torch.save(run.weights(), output / WEIGHTS)
    (output / METRICS).write_text(json.dumps({"test": metrics}, indent=2) + "\n")
    logger.info("test: %s", ", ".join(f"{name} {value:.4f}" for name, value in metrics.items()))
    return metrics


def open_run(handover: Handover, device: str = "auto") -> TrainingRun:
    """The run of a configuration before its first epoch; refuses data other than that it was found on."""
    chosen = chosen_device(device)
    splits = open_data(handover.config, handover.data_fingerprint)
    return TrainingRun(handover.config, splits, device=chosen)


def open_data(config: TrialConfig, expected: Mapping[str, str]) -> Any:
    """The data of a configuration.

    Raises:
        ValueError: it can't be used, or its fingerprint is not the expected one; an empty one expects nothing.
    """
    splits = get_task(config.workload).open_data(config, on_progress=_preparing)
    found = splits.fingerprint
    if expected and expected != found:
        differing = ", ".join(name for name in found if expected.get(name) != found[name])
        raise ValueError(
            f"The data at {config.data.source} is not what this configuration was found on "
            f"({differing} differ); restore the data, or begin anew with --data."
        )
    return splits


def chosen_device(name: str) -> torch.device:
    """The device of that name; "auto" is the first GPU where there is one.

    Raises:
        ValueError: the device is not on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise ValueError(f"device is {name!r}; allowed: auto, cpu, cuda, cuda:N.")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device is {name!r}, but this machine has no CUDA device; use --device cpu.")
    if name.startswith("cuda:") and int(name.removeprefix("cuda:")) >= torch.cuda.device_count():
        last = torch.cuda.device_count() - 1
        raise ValueError(f"device is {name!r}, but the last CUDA device of this machine is cuda:{last}; use that.")
    return torch.device(name)


def run_epochs(run: TrainingRun, on_epoch: Callable[[EpochResult], None]) -> list[EpochResult]:
    """Trains what is left of the budget."""
    results = []
    while not run.is_complete:
        results.append(run.run_epoch())
        on_epoch(results[-1])
    return results


def check_writable(folder: Path, option: str) -> None:
    """Raises ValueError when the folder that `option` names could not be made or written to."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise ValueError(f"{existing} is a file; give a folder as {option}.")
    if not os.access(existing, os.W_OK):
        raise ValueError(f"{existing} can't be written to; give another folder as {option}.")


def _record(run: TrainingRun, result: EpochResult, output: Path, board: SummaryWriter) -> None:
    """Puts an epoch on disk: the curve's line first, then the checkpoint that a resumed run starts from."""
    with (output / CURVE).open("a") as curve:
        curve.write(json.dumps(asdict(result)) + "\n")
    for name, value in result.metrics.items():
        board.add_scalar(name, value, result.epoch)
    run.save(output / CHECKPOINT)
    left = (run.config.max_epochs - result.epoch) * result.seconds
    logger.info(
        "epoch %d/%d  loss %.4f  %s %.4f  lr %.2e  %.1f s  about %s left",
        result.epoch,
        run.config.max_epochs,
        result.metrics["train/loss"],
        run.task.objective,
        result.objective,
        result.metrics["train/lr"],
        result.seconds,
        time.strftime("%M:%S" if left < 3600 else "%H:%M:%S", time.gmtime(left)),
    )


def _cut_curve(curve: Path, num_epochs: int) -> None:
    """An epoch whose checkpoint was never written is trained again, and must not stand in the curve twice."""
    if curve.exists():
        curve.write_text("".join(curve.read_text().splitlines(keepends=True)[:num_epochs]))


def _restore(run: TrainingRun, checkpoint: Path) -> None:
    try:
        run.restore(checkpoint)
    except CheckpointError as error:
        raise ValueError(f"{error} To begin again, give another --output.") from error
    except (RuntimeError, KeyError) as error:
        raise ValueError(
            f"{checkpoint} does not fit this configuration; resume with the configuration that the run began with, or "
            "give another --output."
        ) from error


def _check_output(output: Path, resume: bool) -> None:
    check_writable(output, "--output")
    if not (output / CURVE).exists():
        return
    if not resume:
        raise ValueError(f"{output} already holds a run; give another --output, or --resume to go on with it.")
    num_epochs = len((output / CURVE).read_text().splitlines())
    # The first epoch may have been cut off between its line and its checkpoint.
    if num_epochs > 1 and not (output / CHECKPOINT).exists():
        raise ValueError(
            f"{output} holds {num_epochs} epochs, but {CHECKPOINT} is gone; restore it, or give another --output."
        )


def _planned(options: argparse.Namespace) -> Handover:
    """The configuration file with what the command line changes."""
    handover = read_handover(options.config)
    config, fingerprint = handover.config, handover.data_fingerprint
    if options.epochs is not None:
        config = replace(config, max_epochs=options.epochs)
    if options.seed is not None:
        config = replace(config, seed=options.seed)
    if options.data is not None:
        config, fingerprint = replace(config, data=replace(config.data, source=options.data)), {}
    return replace(handover, config=config, data_fingerprint=fingerprint)


def _preparing(done: int, total: int) -> None:
    if done == total or done % max(1, total // 10) == 0:
        logger.info("preparing data: %d of %d", done, total)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trainable.train", description="Train one configuration, without Ray."
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="config.json of an export")
    parser.add_argument("--output", type=Path, metavar="DIR", help="where results go (default: beside the export)")
    parser.add_argument("--epochs", type=int, metavar="N", help="train N epochs; schedule and ramps stretch with it")
    parser.add_argument("--seed", type=int, metavar="N", help="another seed than the file's")
    parser.add_argument("--data", metavar="DIR", help="other data than the file's")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    parser.add_argument("--resume", action="store_true", help="go on after the last finished epoch")
    return parser


if __name__ == "__main__":
    sys.exit(main())
