"""Averages the predictions of a search's best trials, and scores them on the test split.

    python -m tuner.ensemble results/dishes/<run> --top 5

What: every member predicts each test image, with its test-time augmentation if that is on; the mean of their
probabilities is scored like one model's. Nothing is trained: the weights are the search's checkpoints. Writes
`ensemble.json` into the results folder.
Source: Lakshminarayanan et al., Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles, 2017,
https://arxiv.org/abs/1612.01474.
Cost: one pass over the test split per member. Off: don't run it; `tuner.export` exports one trial.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainable.configuration.run_config import RunConfig
from trainable.console.command_line import error_line, run_main
from trainable.console.json_output import write_json
from trainable.models.output import ModelOutput, as_model_output
from trainable.run_setup import chosen_device, open_data
from trainable.supervision.contrastive import ContrastiveSupervision
from trainable.supervision.evaluation import for_metrics
from trainable.techniques.memory import MemoryShortage, shortages_named
from trainable.techniques.parallel.tensor_tree import map_tensors
from trainable.workloads.registry import task_of
from tuner import formatting
from tuner.export import exported_config_of, trained_weights, trial_config
from tuner.records import TrialRecord, lock_folder, read_search
from tuner.records.atomic_file import replacing
from tuner.records.settings import read_settings

PROG = "python -m tuner.ensemble"
FILE = "ensemble.json"
DEFAULT_TOP = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleResult:
    """Test metrics of an ensemble and of each of its members."""

    objective: str
    """The search's objective, without its prefix."""
    members: dict[str, dict[str, float]]
    """Test metrics of each member alone, by trial name, the search's best first."""
    ensemble: dict[str, float]
    """Test metrics of the averaged predictions."""


def main(arguments: Sequence[str] | None = None, *, prog: str = PROG) -> int:
    """Runs the command and returns its exit status."""
    options = build_parser(prog).parse_args(arguments)
    try:
        device = chosen_device(options.device)
        read_settings(options.folder)
        with shortages_named(), lock_folder(options.folder):
            result = evaluate_ensemble(options.folder, options.top, device=device)
            with replacing(options.folder / FILE) as partial:
                partial.write_text(json.dumps(asdict(result), indent=2) + "\n")
    except (ValueError, OSError) as error:
        sys.stderr.write(error_line(error))
        return 2
    except MemoryShortage as error:
        sys.stderr.write(f"error: {formatting.reason(error)}. Give a smaller --top, or --device cpu.\n")
        return 2
    if options.json:
        write_json(asdict(result))
        return 0
    for name, metrics in result.members.items():
        own = formatting.number(metrics[result.objective], 4)
        sys.stdout.write(f"trial {name}: {result.objective} {own} on the test split\n")
    together = formatting.number(result.ensemble[result.objective], 4)
    sys.stdout.write(f"ensemble of {len(result.members)}: {together}\n")
    return 0


def build_parser(prog: str = PROG) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description="Average the best trials' predictions.")
    parser.add_argument("folder", type=Path, help="a search's results, results/<space>/<run>")
    parser.add_argument(
        "--top", type=int, default=DEFAULT_TOP, metavar="K", help=f"number of best trials (default: {DEFAULT_TOP})"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: auto)")
    parser.add_argument("--json", action="store_true", help="print the metrics as JSON")
    return parser


def evaluate_ensemble(folder: Path, top: int, *, device: torch.device) -> EnsembleResult:
    """Scores the `top` best of the trials that reached the comparison epoch.

    Raises:
        ValueError: there are fewer, their weights are gone, the data has changed, or they are encoders.
    """
    if top < 1:
        raise ValueError(f"--top is {top}; it must be 1 or more.")
    record = read_search(folder)
    epoch = record.comparison_epoch
    trials = [] if epoch is None else record.rank(epoch)
    if not trials:
        raise ValueError(f"{folder} has no trial with a finite objective; there is nothing to average.")
    if len(trials) < top:
        full = formatting.count(len(trials), "trial")
        raise ValueError(f"{folder} has {full} of full length; give --top {len(trials)}.")
    first = exported_config_of(record, trials[0], folder)
    _check_has_mean(first.config)
    splits = open_data(first.config, first.data_fingerprint)
    members = {
        trial.name: scoring_network(folder, trial, trial_config(record, trial), device) for trial in trials[:top]
    }
    objective = record.settings.metric
    return _evaluate(objective, members, first.config, splits.test, device)


def _check_has_mean(config: RunConfig) -> None:
    """Raises ValueError for a pre-training: encoders order their features differently, so they have no mean."""
    task, config = task_of(config)
    if isinstance(task.build_supervision(config), ContrastiveSupervision):
        raise ValueError(
            f"The encoders of {config.workload} can't be averaged, because their features have no common order; search "
            "the workload that starts from one with --init, and average its trials."
        )


Network = Callable[[Any, Any], Any]
"""Maps the images and targets of a batch to scores."""


def scoring_network(folder: Path, trial: TrialRecord, config: RunConfig, device: torch.device) -> Network:
    """The trained network of a trial, which scores as the final test does."""
    task, config = task_of(config)
    model = task.build_model(config).to(device).eval()
    supervision = task.test_supervision(task.build_supervision(config).to(device), config)
    model.load_state_dict(trained_weights(folder, trial))

    def forward(*inputs: Any) -> ModelOutput:
        return as_model_output(model(*inputs))

    return lambda images, targets: supervision.evaluate(forward, images, targets).scores


@torch.no_grad()
def _evaluate(
    objective: str, members: dict[str, Network], config: RunConfig, data: Any, device: torch.device
) -> EnsembleResult:
    task, config = task_of(config)
    alone = {name: task.build_metrics(config, final=True) for name in members}
    together = task.build_metrics(config, final=True)
    for batch in task.evaluation_batches(config, data, device):
        images, targets = map_tensors(lambda part: part.to(device), batch)
        scores = {name: for_metrics(member(images, targets)) for name, member in members.items()}
        targets = for_metrics(targets)
        for name, own in scores.items():
            alone[name].update(own, targets)
        together.update(map_tensors(_mean, *scores.values()), targets)
    return EnsembleResult(
        objective=objective,
        members={name: metrics.compute() for name, metrics in alone.items()},
        ensemble=together.compute(),
    )


def _mean(*scores: object) -> Tensor:
    tensors = [score for score in scores if isinstance(score, Tensor)]
    if len(tensors) < len(scores) or any(tensor.shape != tensors[0].shape for tensor in tensors):
        raise ValueError("The members' predictions can't be averaged: they are not tensors of one shape.")
    return torch.stack(tensors).mean(dim=0)


if __name__ == "__main__":
    sys.exit(run_main(main))
