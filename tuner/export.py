"""Exports the selected trial: its configuration file, weights and metrics.

python -m tuner.export results/moe/<run>            writes best/config.json, best/weights.pt, best/metrics.json
python -m tuner.export results/moe/<run> --verify   retrains it without Ray and compares the curves
python -m tuner.export results/moe/<run> --onnx --torch-export   also for other programs, checked against the network
"""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from trainable.config import from_params
from trainable.configuration.reference import activate
from trainable.configuration.run_config import RunConfig
from trainable.console.command_line import error_line, run_main, unnamed_errors_name
from trainable.console.json_output import write_json
from trainable.console.visible_text import visible
from trainable.predict import TrainedModel
from trainable.techniques.checkpoint import read_checkpoint, save_whole, weights_to_export
from trainable.techniques.memory import MemoryShortage, shortages_named
from trainable.workloads.exported_config import ExportedConfig, write_exported_config
from trainable.workloads.registry import read_config
from tuner import formatting
from tuner.confirmation.verification import report_verification
from tuner.confirmation.wanted import interrupted_at, what_is_left
from tuner.exchange import ONNX, PROGRAM, check_exchangeable, check_onnx, write_onnx, write_program
from tuner.records import SearchRecord, TrialRecord, lock_folder, read_search
from tuner.records.checkpoints import trial_folder
from tuner.records.settings import read_settings
from tuner.records.trivial import PROBE, TRIVIAL
from tuner.results.model_card import model_card
from tuner.selection.comparison import read_confirmations
from tuner.selection.selected_trial import SelectedTrial, select_trial
from tuner.storage.fetched_checkpoint import checkpoint_here

PROG = "python -m tuner.export"
FOLDER, CONFIG, WEIGHTS, METRICS, CARD = "best", "config.json", "weights.pt", "metrics.json", "README.md"
NEW, FORMER = f".{FOLDER}", f".{FOLDER}.old"
"""The new export and the one it replaces; both exist only while an export runs."""


def main(arguments: Sequence[str] | None = None, *, prog: str = PROG) -> int:
    """Runs the command; returns its exit status: 0 done, 1 not verified, 2 user error."""
    options = build_parser(prog).parse_args(arguments)
    try:
        with shortages_named():
            return _run(options)
    except (ValueError, ArithmeticError, OSError, MemoryShortage) as error:
        sys.stderr.write(error_line(error))
        return 2


def _run(options: argparse.Namespace) -> int:
    check_forms(options.folder, onnx=options.onnx, torch_export=options.torch_export)
    with lock_folder(options.folder):
        best = export(options.folder)
        record = read_search(options.folder)
        left = what_is_left(options.folder, record)
        forms = write_forms(best, onnx=options.onnx, torch_export=options.torch_export)
    if left is not None:
        sys.stderr.write(f"{visible(left)}\n")
    exported = {"config": str(best / CONFIG), "weights": str(best / WEIGHTS), "metrics": str(best / METRICS)}
    exported |= {form.path.name: str(form.path) for form in forms}
    # As JSON the paths come last: a verification that can't be done leaves standard output empty.
    with redirect_stdout(sys.stderr) if options.json else nullcontext():
        sys.stdout.write(f"{best / CONFIG}\n")
        for form in forms:
            difference = f"{form.largest_difference:.2g}"
            sys.stdout.write(f"{form.path}: differs from the network by at most {difference} in a logit\n")
        trial = _selected(record, options.folder).trial
        is_same = report_verification(record.settings, trial, best / CONFIG) if options.verify else True
    if options.json:
        write_json(exported)
    return 0 if is_same else 1


def build_parser(prog: str = PROG) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description="Export the best configuration of a search.")
    parser.add_argument("folder", type=Path, help="a search's results, results/<space>/<run>")
    parser.add_argument("--verify", action="store_true", help="retrain it and compare the curves")
    parser.add_argument("--onnx", action="store_true", help=f"also write {FOLDER}/{ONNX}, checked with ONNX Runtime")
    parser.add_argument("--torch-export", action="store_true", help=f"also write {FOLDER}/{PROGRAM}, checked")
    parser.add_argument("--json", action="store_true", help="print the paths as JSON; a verification goes to stderr")
    return parser


@dataclass(frozen=True, slots=True)
class Form:
    """A form of the network for another program."""

    path: Path
    largest_difference: float
    """Largest difference of a logit from the network's."""


def check_forms(folder: Path, *, onnx: bool, torch_export: bool) -> None:
    """Raises ValueError if the network of this search can't be written in a requested form."""
    settings = read_settings(folder)
    if onnx or torch_export:
        activate(settings.references)
        check_exchangeable(str(settings.base_config["workload"]))
    if onnx:
        check_onnx()


def write_forms(best: Path, *, onnx: bool, torch_export: bool) -> list[Form]:
    """Writes the exported network in the requested forms, next to its weights.

    Raises:
        ValueError: a form does not compute the same as the network; its file is not kept.
    """
    forms = []
    for write, name in [(write_onnx, ONNX)] * onnx + [(write_program, PROGRAM)] * torch_export:
        forms.append(Form(best / name, write(TrainedModel.read(best, "cpu"), best / name)))
    return forms


def export(folder: Path) -> Path:
    """Replaces the exported files all at once and returns their folder; the caller holds the search's lock.

    Raises:
        ValueError: there is no search or no trial with a value, or its checkpoint is gone. An earlier export with
            weights stays then; without one, all but the weights is written.
        OSError: the disk is full, or can't be written to; an earlier export stays.
    """
    record = read_search(folder)
    # Completes a swap that was killed between its renames; otherwise removes leftovers.
    if (folder / FORMER).exists() and not (folder / FOLDER).exists():
        whole = NEW if (folder / NEW).exists() else FORMER
        (folder / whole).rename(folder / FOLDER)
    for leftover in (NEW, FORMER):
        shutil.rmtree(folder / leftover, ignore_errors=True)
    selected = _selected(record, folder)
    is_lost = checkpoint_here(folder, selected.trial) is None and not (folder / FOLDER / WEIGHTS).is_file()
    weights = {} if is_lost else trained_weights(folder, selected.trial)
    try:
        with unnamed_errors_name(folder / FOLDER):
            _write_new(folder, record, selected, weights)
    except OSError:
        shutil.rmtree(folder / NEW, ignore_errors=True)
        raise
    # The folder is replaced, not its files: a kill can't leave an old configuration beside new weights.
    if (folder / FOLDER).exists():
        (folder / FOLDER).rename(folder / FORMER)
    (folder / NEW).rename(folder / FOLDER)
    shutil.rmtree(folder / FORMER, ignore_errors=True)
    if is_lost:
        here, config = formatting.argument(folder), formatting.argument(folder / FOLDER / CONFIG)
        raise ValueError(
            f"{folder / FOLDER} is written without weights: {_without_checkpoint(folder, selected.trial)}. Restore it "
            f"from a copy and run python -m tuner.export {here}, or train it again with "
            f"python -m trainable.train --config {config}."
        )
    return folder / FOLDER


def _write_new(folder: Path, record: SearchRecord, selected: SelectedTrial, weights: dict[str, torch.Tensor]) -> None:
    """Writes the new export next to the one it replaces."""
    write_exported_config(folder / NEW / CONFIG, exported_config_of(record, selected.trial, folder))
    if weights:
        save_whole(folder / NEW / WEIGHTS, weights)
    trivial = {split: asdict(score) for split, score in TRIVIAL.read(folder).items()}
    probe = {split: asdict(score) for split, score in PROBE.read(folder).items()}
    beside = {name: scores for name, scores in (("trivial", trivial), ("linear_probe", probe)) if scores}
    left = interrupted_at(folder, record)
    measured = ({} if left is None else {"interrupted": left}) | _metrics(selected) | beside
    (folder / NEW / METRICS).write_text(json.dumps(measured, indent=2) + "\n")
    card = model_card(record, selected.trial, read_confirmations(folder, record), left)
    (folder / NEW / CARD).write_text(card, encoding="utf-8")


def exported_config_of(record: SearchRecord, trial: TrialRecord, folder: Path) -> ExportedConfig:
    """A trial's configuration in the form that standalone training reads."""
    settings = record.settings
    return ExportedConfig(
        config=trial_config(record, trial),
        data_fingerprint=settings.data_fingerprint,
        num_threads=max(1, int(settings.resources.cpus_per_rank)),
        found_by={
            "search": f"{settings.space}/{folder.resolve().name}",
            "trial": trial.name,
            "objective": settings.objective,
            "precision": trial.last.precision if trial.last else None,
        },
        versions=settings.versions,
        references=settings.references or None,
    )


def trial_config(record: SearchRecord, trial: TrialRecord) -> RunConfig:
    """The configuration that a trial was trained with."""
    activate(record.settings.references)
    return from_params(trial.params, read_config(record.settings.base_config))


def trained_weights(folder: Path, trial: TrialRecord) -> dict[str, torch.Tensor]:
    """Weights of a trial to export, from its last checkpoint: those of its best epoch if kept, else the last.

    Empty for a user's own loop that names no model.

    Raises:
        ValueError: the checkpoint is gone.
    """
    path = checkpoint_here(folder, trial)
    if path is None:
        raise ValueError(
            f"{_without_checkpoint(folder, trial)}: restore it from a copy, or train its configuration again."
        )
    return weights_to_export(read_checkpoint(path))


def _without_checkpoint(folder: Path, trial: TrialRecord) -> str:
    last = f"its last epoch, {trial.last.epoch}," if trial.last else "any epoch"
    place, store = trial_folder(folder, trial.name), read_settings(folder).store
    copy = "" if store is None else f", nor was one fetched from {store}"
    return f"Trial {trial.name} has no checkpoint of {last} in {place}{copy}"


def _selected(record: SearchRecord, folder: Path) -> SelectedTrial:
    selected = select_trial(folder, record)
    if selected is None:
        raise ValueError(f"{folder} has no trial with a finite objective; there is nothing to export.")
    return selected


def _metrics(selected: SelectedTrial) -> dict[str, object]:
    """Recorded metrics of the exported weights, and how the training ended."""
    trial = selected.trial
    result = trial.results[selected.epoch]
    return {
        "trial": trial.name,
        "epoch": result.epoch,
        "objective": result.objective,
        "metrics": result.metrics,
        "last_epoch": trial.last_result.epoch,
        "ended": trial.sentence,
    }


if __name__ == "__main__":
    sys.exit(run_main(main))
