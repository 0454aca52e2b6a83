"""Checkpoints: everything a run needs to go on as if it had never stopped, in one file without pickled code.

What: tensors and plain values only, so that `torch.load(weights_only=True)` reads it; written beside its place and
renamed, so that a crash leaves the former file whole; the state of every random generator included.
Cost: one write of the state. Off: do not call it.
"""

import os
import pickle
import random
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

FORMAT = 1


class CheckpointError(ValueError):
    """A file is no checkpoint of this project, or of another format."""


class DamagedCheckpointError(CheckpointError):
    """The checkpoint is lost, or no whole file: what it held can't be had back."""


def write_checkpoint(path: str | Path, state: dict) -> None:
    """Writes `state` (tensors, numbers, strings, lists, dicts) so that `path` is always a whole file.

    Raises:
        OSError: the disk is full, or can't be written to; a former file at `path` is as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # Through a file of Python's, whose error says that the disk is full; torch's own says only that it failed.
        with partial.open("wb") as file:
            torch.save({"format": FORMAT, **state}, file)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_checkpoint(path: str | Path, device: torch.device | str = "cpu") -> dict:
    """Reads what `write_checkpoint` wrote; code in the file is refused, not run.

    Raises:
        DamagedCheckpointError: the file is missing or damaged.
        CheckpointError: it holds pickled code, or is of another format.
        OSError: it can't be read now, by a fault of the disk or the network.
    """
    path = Path(path)
    if not path.is_file():
        raise DamagedCheckpointError(f"{path} is not a file; give the checkpoint that a training run wrote.")
    if not zipfile.is_zipfile(path):
        raise DamagedCheckpointError(f"{path} can't be read as a checkpoint: it is damaged, or another kind of file.")
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds pickled code, which is not run; give a checkpoint that this project wrote."
        ) from error
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, EOFError, KeyError, ValueError) as error:
        message = f"{path} can't be read as a checkpoint ({type(error).__name__}): {error}"
        raise DamagedCheckpointError(message) from error
    found = state.get("format") if isinstance(state, dict) else None
    if found != FORMAT:
        raise CheckpointError(f"{path} has checkpoint format {found}; this version reads format {FORMAT}.")
    return state


def as_plain(values: Mapping[str, object]) -> dict[str, object]:
    """Numbers of NumPy and torch as those of Python, which a file without pickled code can hold."""
    return {name: value.tolist() if hasattr(value, "tolist") else value for name, value in values.items()}


CPU = torch.device("cpu")


def random_state(device: torch.device = CPU) -> dict[str, object]:
    """State of the generators of Python, NumPy, torch and the run's own device, as tensors and plain values."""
    version, keys, gauss = random.getstate()
    own = np.random.get_state(legacy=False)
    numpy = [own["bit_generator"], own["state"]["key"].tolist(), int(own["state"]["pos"])]
    return {
        "python": [version, list(keys), gauss],
        "numpy": [*numpy, int(own["has_gauss"]), float(own["gauss"])],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }


def restore_random_state(state: dict, device: torch.device = CPU) -> None:
    """Puts the generators back to a state of `random_state`; another kind of device keeps its own."""
    version, keys, gauss = state["python"]
    random.setstate((version, tuple(keys), gauss))
    name, numpy_keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, np.array(numpy_keys, dtype=np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)


def load_optimizer_progress(optimizer: torch.optim.Optimizer, state: dict) -> None:
    """Restores moments and step counts, and keeps the hyper-parameters that the optimizer is configured with now."""
    configured = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, options in zip(optimizer.param_groups, configured, strict=True):
        group.update(options)
