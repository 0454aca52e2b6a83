"""The best trials of a search together: their predictions averaged, judged on the test split.

    python -m tuner.ensemble results/dishes/<run> --top 5

What: every member sees each test image, in several looks where its test-time augmentation is on, and the mean of their
probabilities is judged as one model's would be. Nothing is trained: the weights are those that the search kept. Writes
`ensemble.json` into the results folder.
Source: Lakshminarayanan et al., Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles, 2017,
https://arxiv.org/abs/1612.01474.
Cost: one final test for each member. Off: don't run it; the winner alone is what is exported.
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

from trainable.config import TrialConfig
from trainable.models.output import as_model_output
from trainable.run_setup import chosen_device, open_data
from trainable.tasks.registry import get_task
from trainable.techniques.parallel.tensor_tree import map_tensors
from tuner import formatting
from tuner.atomic_file import replacing
from tuner.export import exported_config_of, trained_weights, trial_config
from tuner.records import TrialRecord, locked, read_search
from tuner.records.settings import read_settings

FILE = "ensemble.json"
DEFAULT_TOP = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleResult:
    """An ensemble and each of its members on the test split."""

    objective: str
    """The metric that the search compared, without its prefix."""
    members: dict[str, dict[str, float]]
    """Test metrics of each member alone, by the name of its trial, the best of the search first."""
    ensemble: dict[str, float]
    """Test metrics of all of them together."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tuner.ensemble", description="Average the best trials' answers.")
    parser.add_argument("folder", type=Path, help="a search's results, results/<space>/<run>")
    parser.add_argument(
        "--top", type=int, default=DEFAULT_TOP, metavar="K", help=f"how many of the best (default: {DEFAULT_TOP})"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    options = parser.parse_args(arguments)
    try:
        device = chosen_device(options.device)
        read_settings(options.folder)
        with locked(options.folder):
            result = judge_ensemble(options.folder, options.top, device=device)
            with replacing(options.folder / FILE) as partial:
                partial.write_text(json.dumps(asdict(result), indent=2) + "\n")
    except (ValueError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    for name, metrics in result.members.items():
        sys.stdout.write(f"trial {name}: {result.objective} {metrics[result.objective]:.4f} on the test split\n")
    sys.stdout.write(f"all {len(result.members)} together: {result.ensemble[result.objective]:.4f}\n")
    return 0


def judge_ensemble(folder: Path, top: int, *, device: torch.device) -> EnsembleResult:
    """Judges the `top` best trials of those compared at the same epoch.

    Raises:
        ValueError: there are not so many, their weights are gone, or the data is no longer the same.
    """
    if top < 1:
        raise ValueError(f"--top is {top}; it must be 1 or more.")
    record = read_search(folder)
    epoch = record.comparison_epoch
    trials = [] if epoch is None else record.ranked(epoch)
    if len(trials) < top:
        raise ValueError(f"{folder} has {len(trials)} trials that were trained to the end; give --top {len(trials)}.")
    first = exported_config_of(record, trials[0], folder)
    splits = open_data(first.config, first.data_fingerprint)
    answers = {trial.name: _answer(folder, trial, trial_config(record, trial), device) for trial in trials[:top]}
    objective = formatting.metric(record.settings.objective)
    return _judged(objective, answers, first.config, splits.test, device)


Answer = Callable[[Any, Any], Any]
"""From the images and targets of a batch to its scores."""


def _answer(folder: Path, trial: TrialRecord, config: TrialConfig, device: torch.device) -> Answer:
    """A trained member."""
    task = get_task(config.workload)
    model = task.build_model(config).to(device).eval()
    judge = task.final_judge(task.build_supervision(config).to(device), config)
    model.load_state_dict(trained_weights(folder, trial))
    return lambda images, targets: judge.judged(lambda *inputs: as_model_output(model(*inputs)), images, targets).scores


@torch.no_grad()
def _judged(
    objective: str, answers: dict[str, Answer], config: TrialConfig, data: Any, device: torch.device
) -> EnsembleResult:
    task = get_task(config.workload)
    alone = {name: task.build_metrics(config, final=True) for name in answers}
    together = task.build_metrics(config, final=True)
    for batch in task.evaluation_batches(config, data, device):
        images, targets = map_tensors(lambda part: part.to(device), batch)
        scores = {name: answer(images, targets) for name, answer in answers.items()}
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
        raise ValueError("The members' answers are no probabilities of one shape, of which a mean could be taken.")
    return torch.stack(tensors).mean(dim=0)


if __name__ == "__main__":
    sys.exit(main())
