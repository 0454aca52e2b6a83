"""The data of a standalone training's page: tables of its folder, and the deletion of its checkpoints; no Streamlit."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from trainable.config import TrialConfig, flat_params
from trainable.configuration.mapping_file import read_mapping
from trainable.reporting.output_folder import (
    CHECKPOINT,
    CONFIG,
    CURVE,
    METRICS,
    WEIGHTS,
    finished_epochs,
    read_tested,
)
from trainable.tasks.registry import get_task
from trainable.techniques.best_epoch import Monitor, resolve_monitor
from trainable.workloads.exported_config import WANTED, read_exported_config
from trainable.workloads.registry import task_of
from tuner import formatting

KEPT = "checkpoints"
"""The folder of the checkpoints that a training keeps beside its last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """Content of a training's folder so far."""

    folder: Path
    config: TrialConfig
    epochs: list[dict[str, Any]]
    """Lines of the curve, the first epoch first."""
    tested: Mapping[str, Any]
    """metrics.json; empty until the training has ended."""

    @property
    def monitor(self) -> Monitor:
        """The metric that chooses the best epoch."""
        task = get_task(self.config.workload)
        return resolve_monitor(self.config.best_epoch, objective=task.objective, mode=task.mode)

    @property
    def best(self) -> dict[str, Any] | None:
        """Epoch with the best monitored metric, ties go to the earlier; None before the first."""
        measured = [epoch for epoch in self.epochs if self.monitor.name in epoch["metrics"]]
        sign = 1 if self.monitor.mode == "max" else -1
        return max(measured, key=lambda epoch: sign * epoch["metrics"][self.monitor.name], default=None)


def is_training(folder: Path) -> bool:
    """Whether `trainable.train` writes, or wrote, into this folder."""
    return (folder / CURVE).is_file() and (folder / CONFIG).is_file()


def read_training(folder: Path) -> Training:
    """Reads the current state of a training; skips a line that is still being written.

    Raises:
        ValueError: the configuration is of another version, no configuration, or that of a loop of the user's own; or
            the curve or the metrics are damaged.
        OSError: a file can't be read.
    """
    tested = folder / METRICS
    return Training(
        folder=folder,
        config=task_of(read_exported_config(folder / CONFIG).config)[1],
        epochs=finished_epochs(folder / CURVE),
        tested=read_tested(tested) if tested.is_file() else {},
    )


def others(training: Training) -> list[Path]:
    """Trainings of the same workload in the folders beside this one and beside its parent, to compare with."""
    here = training.folder.resolve()
    beside = [*here.parent.glob("*"), *here.parent.parent.glob("*/*")]
    found = {path.resolve() for path in beside if is_training(path)} - {here}
    return sorted(path for path in found if _workload(path) == training.config.workload)


def metric_names(training: Training) -> list[str]:
    """All measured metrics, the monitored one first."""
    names = {name for epoch in training.epochs for name in epoch["metrics"]}
    return sorted(names, key=lambda name: (name != training.monitor.name, name))


def curves(trainings: Sequence[Training], metric: str) -> pd.DataFrame:
    """A metric by epoch, with one column per training that has it."""
    found = {
        formatting.path(one.folder): {epoch["epoch"]: epoch["metrics"].get(metric) for epoch in one.epochs}
        for one in trainings
    }
    return pd.DataFrame(found).rename_axis("epoch").sort_index().dropna(axis="columns", how="all")


def configurations(trainings: Sequence[Training]) -> pd.DataFrame:
    """Parameters of each training and of the workload's default; `differs` marks those that are not the default."""
    config = trainings[0].config
    default = get_task(config.workload).default_config(config.data.source)
    named = {"default": default} | {formatting.path(one.folder): one.config for one in trainings}
    values = {name: {key: str(value) for key, value in flat_params(one).items()} for name, one in named.items()}
    table = pd.DataFrame(values).fillna("not used").rename_axis("parameter").drop("workload")
    return table.assign(differs=table.nunique(axis="columns") > 1)


def checkpoints(training: Training) -> pd.DataFrame:
    """Weights and checkpoints in the folder, each with epoch, size, monitored metric and the commands that use it."""
    by_epoch = {epoch["epoch"]: epoch["metrics"] for epoch in training.epochs}
    monitored, config, rows = training.monitor.name, shlex.quote(formatting.path(training.folder / CONFIG)), []
    for name, epoch in _files(training).items():
        path = training.folder / name
        weights = shlex.quote(formatting.path(path))
        start = f"python -m trainable.train --config {config} --init {weights} --output NEW"
        predict = f"python -m trainable.predict --config {config} --weights {weights} --image PICTURES"
        value = by_epoch.get(epoch, {}).get(monitored)
        rows.append((name, epoch, path.stat().st_size / 1e6, value, start, predict))
    columns = ["file", "epoch", "MB", monitored, "start from it", "predict with it"]
    return pd.DataFrame(rows, columns=columns).set_index("file")


def deletable(training: Training) -> list[str]:
    """Checkpoints that may be deleted: all but the last, and the last once the training has ended."""
    names = [name for name in _files(training) if name.startswith(f"{KEPT}/")]
    has_last = training.tested and (training.folder / CHECKPOINT).is_file()
    return [*names, CHECKPOINT] if has_last else names


def delete_checkpoint(training: Training, name: str) -> None:
    """Removes one of `deletable`, and nothing else.

    Raises:
        ValueError: it is none of them, or a link that leads out of the training's folder.
        OSError: the file can't be removed.
    """
    path, folder = training.folder / name, training.folder.resolve()
    if name not in deletable(training):
        known = ", ".join(deletable(training)) or "there is none"
        raise ValueError(f"{name} is not a checkpoint of {training.folder} that may be deleted: {known}.")
    if path.is_symlink() or path.resolve() != folder / name:
        raise ValueError(f"{path} leads out of {training.folder}; delete it where it lies.")
    path.unlink()


def _files(training: Training) -> dict[str, int]:
    """Names of files below the folder with their epochs, 0 if unknown."""
    last = training.epochs[-1]["epoch"] if training.epochs else 0
    best = training.best["epoch"] if training.best is not None else 0
    found = {WEIGHTS: training.tested.get("epoch", 0), CHECKPOINT: last, f"{KEPT}/best.pt": best}
    for path in sorted((training.folder / KEPT).glob("epoch_*.pt")):
        number = path.stem.removeprefix("epoch_")
        found[f"{KEPT}/{path.name}"] = int(number) if number.isdecimal() else 0
    return {name: epoch for name, epoch in found.items() if (training.folder / name).is_file()}


def _workload(folder: Path) -> object:
    """Workload of a training's configuration, without checking the rest; None if it can't be read."""
    try:
        config = read_mapping(folder / CONFIG, wanted=WANTED).get("config")
    except (ValueError, OSError):
        return None
    return config.get("workload") if isinstance(config, Mapping) else None
