"""Hands the winner over: one configuration file, its weights and its metrics.

python -m tuner.export results/moe/<run>            writes best/config.json, best/weights.pt, best/metrics.json
python -m tuner.export results/moe/<run> --verify   trains it again, without Ray, and compares the curve
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from trainable.config import TrialConfig, from_params
from trainable.handover import Handover, read_handover, write_handover
from trainable.opening import open_run
from trainable.ray_trainable import CHECKPOINT
from trainable.tasks.registry import read_config
from trainable.techniques.checkpoint import read_checkpoint
from trainable.trainer_state import evaluated_weights
from trainable.training_run import run_epochs
from tuner.ray.cluster import slots_of
from tuner.confirmation import choose
from tuner.records import SearchRecord, TrialRecord, read_search

FOLDER, CONFIG, WEIGHTS, METRICS = "best", "config.json", "weights.pt", "metrics.json"
CPU_TOLERANCE, GPU_TOLERANCE = 0.0, 0.02
"""Largest difference of the objective that counts as the same curve; of several ranks on a CPU it is that of a GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Two curves of one configuration, epoch by epoch."""

    searched: list[float]
    retrained: list[float]

    @property
    def largest_difference(self) -> float:
        return max(abs(a - b) for a, b in zip(self.searched, self.retrained, strict=True))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status: 0 done, 1 not verified, 2 a mistake of the user's."""
    parser = argparse.ArgumentParser(prog="python -m tuner.export", description="Hand the winner of a search over.")
    parser.add_argument("folder", type=Path, help="a search's results, results/<space>/<run>")
    parser.add_argument("--verify", action="store_true", help="train it again and compare the curves")
    options = parser.parse_args(arguments)
    try:
        best = export(options.folder)
        sys.stdout.write(f"{best / CONFIG}\n")
        return _verify_and_say(options.folder) if options.verify else 0
    except (ValueError, ArithmeticError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


def export(folder: Path) -> Path:
    """Writes the winner's files and returns their folder.

    Raises:
        ValueError: no such search, no trial that may win, or its checkpoint is gone.
    """
    record = read_search(folder)
    winner = _winner(record, folder)
    weights = trained_weights(folder, winner)
    partial = folder / f".{FOLDER}"
    write_handover(partial / CONFIG, handover_of(record, winner, folder))
    torch.save(weights, partial / WEIGHTS)
    (partial / METRICS).write_text(json.dumps(_metrics(winner), indent=2) + "\n")
    return _replaced(folder / FOLDER, partial)


def handover_of(record: SearchRecord, trial: TrialRecord, folder: Path) -> Handover:
    """A trial's configuration as the file that standalone training reads."""
    said = record.settings
    return Handover(
        config=trial_config(record, trial),
        data_fingerprint=said["data_fingerprint"],
        num_threads=max(1, int(settings.resources.cpus_per_rank)),
        found_by={
            "search": f"{said['space']}/{folder.name}",
            "trial": trial.number,
            "objective": said["objective"],
            "precision": trial.last.precision if trial.last else None,
        },
        versions=said["versions"],
    )


def trial_config(record: SearchRecord, trial: TrialRecord) -> TrialConfig:
    """What a trial was trained with, made as the trial itself made it."""
    return from_params(trial.params, read_config(record.settings.base_config))


def trained_weights(folder: Path, trial: TrialRecord) -> dict[str, torch.Tensor]:
    """The weights of a trial's last checkpoint as they were judged.

    Raises:
        ValueError: the search kept none, or it is gone.
    """
    if not trial.checkpoints:
        raise ValueError(
            f"Trial {trial.number} of {folder} has no checkpoint on record; there are no weights to hand over."
        )
    path = folder / trial.checkpoints[max(trial.checkpoints)] / CHECKPOINT
    if not path.exists():
        raise ValueError(
            f"The checkpoint {path} of trial {trial.number} is not a file; train the trial again to get its weights."
        )
    return evaluated_weights(read_checkpoint(path)["trainer"])


def verify(folder: Path) -> Verification:
    """Trains the exported configuration again, in this process and without Ray."""
    record = read_search(folder)
    winner = _winner(record, folder)
    if record.settings.resources.device == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"{folder} was searched on a GPU, and this machine has none; verify it where there is one.")
    handover = read_handover(folder / FOLDER / CONFIG)
    torch.set_num_threads(handover.num_threads)
    run = open_run(handover, "cuda" if record.settings.resources.device == "cuda" else "cpu")
    searched = [winner.results[epoch].objective for epoch in sorted(winner.results)]
    retrained = run_epochs(run, on_epoch=lambda result: _say_epoch(result.epoch, result.objective, searched))
    return Verification(searched=searched, retrained=[result.objective for result in retrained][: len(searched)])


def _verify_and_say(folder: Path) -> int:
    verification = verify(folder)
    slots = read_search(folder).settings.resources
    is_exact = slots.device == "cpu" and slots.ranks_per_trial == 1
    tolerance = CPU_TOLERANCE if is_exact else GPU_TOLERANCE
    same = verification.largest_difference <= tolerance
    said = (
        "the same to the bit" if verification.largest_difference == 0 else "within tolerance" if same else "DIFFERENT"
    )
    compared, difference = len(verification.searched), verification.largest_difference
    sys.stdout.write(f"{compared} epochs compared, largest difference {difference:.3g}: {said}\n")
    return 0 if same else 1


def _say_epoch(epoch: int, objective: float, searched: list[float]) -> None:
    beside = f"{searched[epoch - 1]:.6f}" if epoch <= len(searched) else "-"
    sys.stdout.write(f"epoch {epoch:3d}  search {beside}  again {objective:.6f}\n")
    sys.stdout.flush()


def _winner(record: SearchRecord, folder: Path) -> TrialRecord:
    """The best on several seeds where the best were trained again, else the best of the search."""
    if record.winner is None:
        raise ValueError(f"{folder} has no trial with a finite objective; there is nothing to export.")
    choice = choose(folder, record)
    return record.winner if choice is None else choice.trial


def _metrics(winner: TrialRecord) -> dict[str, object]:
    """What was measured of its weights: an interrupted trial may have been measured once more since."""
    saved = winner.results[max(winner.checkpoints)]
    return {"trial": winner.number, "epoch": saved.epoch, "objective": saved.objective, "metrics": saved.metrics}


def _replaced(best: Path, partial: Path) -> Path:
    """Only files that are whole take the place of those of an earlier winner."""
    best.mkdir(exist_ok=True)
    for name in (CONFIG, WEIGHTS, METRICS):
        (partial / name).replace(best / name)
    partial.rmdir()
    return best


if __name__ == "__main__":
    sys.exit(main())
