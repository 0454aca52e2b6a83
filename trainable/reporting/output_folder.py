"""The output folder of a standalone training: its content, and whether a run may start or continue there."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONFIG, CHECKPOINT, CURVE, METRICS, WEIGHTS = (
    "config.json",
    "checkpoint.pt",
    "curve.jsonl",
    "metrics.json",
    "weights.pt",
)


def check_writable(folder: Path, option: str) -> None:
    """Raises ValueError when the folder given as `option` can't be created or written to."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise ValueError(f"{existing} is a file; give a folder as {option}.")
    if not os.access(existing, os.W_OK):
        raise ValueError(f"{existing} can't be written to; give another folder as {option}.")


def check_output(output: Path, *, resume: bool) -> None:
    """Raises ValueError when a run can't start in this folder or, with `resume`, can't continue there."""
    check_writable(output, "--output")
    if not (output / CURVE).exists():
        return
    if not resume:
        raise ValueError(f"{output} already holds a run; give another --output, or --resume to continue it.")
    num_epochs = len((output / CURVE).read_text().splitlines())
    # The first epoch may have been interrupted between its line and its checkpoint.
    if num_epochs > 1 and not (output / CHECKPOINT).exists():
        raise ValueError(
            f"{output} holds {num_epochs} epochs, but {CHECKPOINT} is gone; restore it, or give another --output."
        )


def keep_checkpoints(output: Path, epoch: int, *, is_best: bool, every_epochs: int | None) -> None:
    """Copies the checkpoint of this epoch to checkpoints/, as best.pt and as epoch_NNN.pt for every Nth."""
    folder = output / "checkpoints"
    names = ["best.pt"] * is_best
    if every_epochs is not None and epoch % every_epochs == 0:
        names.append(f"epoch_{epoch:03d}.pt")
    for name in names:
        folder.mkdir(exist_ok=True)
        shutil.copyfile(output / CHECKPOINT, folder / f".{name}")
        (folder / f".{name}").replace(folder / name)


def finished_epochs(curve: Path) -> list[dict[str, Any]]:
    """The epochs of a training so far; a line that is being written, or was at a kill, is left out.

    Raises:
        ValueError: a line is damaged.
        OSError: the file can't be read.
    """
    epochs = []
    for number, line in enumerate(curve.read_bytes().split(b"\n")[:-1], start=1):
        damaged = f"{curve}, line {number}, is damaged; restore the file from a copy."
        epochs.append(_record(line, {"epoch": int, "metrics": dict}, numbers="metrics", damaged=damaged))
    return epochs


def read_curve(curve: Path) -> list[dict[str, Any]]:
    """Like `finished_epochs`, but raises ValueError if there is none."""
    epochs = finished_epochs(curve)
    if not epochs:
        raise ValueError(f"{curve} holds no epoch; give the curve.jsonl of a training that finished one.")
    return epochs


def read_tested(metrics: Path) -> dict[str, Any]:
    """Reads the final metrics of a training: `epoch` of its weights, how it `ended`, its metrics on `test`.

    Raises:
        ValueError: the file is damaged.
        OSError: it can't be read.
    """
    kinds = {"epoch": int, "ended": str, "test": dict}
    damaged = f"{metrics} is damaged; restore it from a copy."
    return _record(metrics.read_bytes(), kinds, numbers="test", damaged=damaged)


def _record(text: bytes, kinds: Mapping[str, type], *, numbers: str, damaged: str) -> dict[str, Any]:
    """Parses a JSON object with values of these kinds by name, `numbers` holding numbers; else raises ValueError."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        record = None
    is_whole = isinstance(record, dict) and all(isinstance(record.get(name), kind) for name, kind in kinds.items())
    if not (is_whole and all(isinstance(value, int | float) for value in record[numbers].values())):
        raise ValueError(damaged)
    return dict(record)


def initial_weights(given: Path) -> str:
    """The absolute path of a weights file, because other processes have other working folders.

    Args:
        given: the folder `best` of an export, or a weights file.

    Raises:
        ValueError: there is no weights file.
    """
    path = given / WEIGHTS if given.is_dir() else given
    if not path.is_file():
        raise ValueError(
            f"--init is {given}, but {path} is not a file; give the folder of an export, such as "
            "results/leaf_pretrain/<run>/best, or a weights file."
        )
    return str(path.absolute())
