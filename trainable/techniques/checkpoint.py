"""Checkpoints: everything that a run needs to continue exactly, in one file without pickled code.

What: a trainer's progress and the state of every random generator, not its configuration; only tensors and plain
values, for `torch.load(weights_only=True)`. Written to a temporary file and renamed, so that a crash leaves the former
file intact.
Cost: one write of the state. Off: do not call it.
"""

import os
import pickle
import random
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from trainable.techniques.parallel.data_parallel import Ranks

FORMAT = 1


class CheckpointError(ValueError):
    """A file is not a checkpoint of this project, or has another format."""


class DamagedCheckpointError(CheckpointError):
    """The checkpoint is missing or damaged, and can't be recovered."""


def write_checkpoint(path: str | Path, state: dict) -> None:
    """Writes `state` (tensors, numbers, strings, lists, dicts) so that `path` is always a complete file.

    Raises:
        OSError: the disk is full, or can't be written to; a former file at `path` is unchanged.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # Through a Python file, whose error says that the disk is full; torch's own only says that writing failed.
        with partial.open("wb") as file:
            torch.save({"format": FORMAT, **state}, file)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_checkpoint(path: str | Path, device: torch.device | str = "cpu") -> dict:
    """Reads what `write_checkpoint` wrote; code in the file is refused, not run.

    Raises:
        DamagedCheckpointError: the file is missing or damaged.
        CheckpointError: it holds pickled code or has another format.
        OSError: it can't be read because of a disk or network error.
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
    """Converts NumPy and torch numbers to Python's, which a file without pickled code can hold."""
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
    """Restores the generators to a state of `random_state`; on another kind of device, that generator is left alone."""
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


class _Techniques(Protocol):
    def with_state(self) -> dict[str, Any]: ...


class Resumable(Protocol):
    """What is needed of a trainer, beside the attributes that its `counters` name."""

    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    device: torch.device
    ranks: Ranks | None
    model: nn.Module
    scheduler: Any
    gradient_step: Any

    @property
    def supervision(self) -> nn.Module: ...
    @property
    def techniques(self) -> _Techniques: ...
    @property
    def counters(self) -> tuple[str, ...]: ...


def progress_of(trainer: Resumable) -> dict[str, object]:
    """Weights, moments, the state of each technique that is on, counters and random generators."""
    progress: dict[str, object] = {
        "model": trainer.model.state_dict(),
        "supervision": trainer.supervision.state_dict(),
        "optimizer": trainer.optimizer.state_dict(),
        "scaler": trainer.scaler.state_dict(),
        "parts": {name: part.state_dict() for name, part in _parts(trainer).items()},
        "counters": {name: getattr(trainer, name) for name in trainer.counters},
        "random": random_state(trainer.device),
    }
    return progress if trainer.ranks is None else progress | {"ranks": trainer.ranks.gathered(_own_of_rank(progress))}


def restore_progress(trainer: Resumable, state: dict) -> None:
    """Puts a trainer where `progress_of` was taken; learning rates, decay and strengths stay as configured now.

    A technique that was off then begins anew.

    Raises:
        ValueError: another number of ranks trained until then.
    """
    state = state | _of_this_rank(state, trainer.ranks)
    trainer.model.load_state_dict(state["model"])
    trainer.supervision.load_state_dict(state["supervision"])
    load_optimizer_progress(trainer.optimizer, state["optimizer"])
    # Empty when the run that was saved did not scale its loss; the scaler then begins anew.
    if state["scaler"]:
        trainer.scaler.load_state_dict(state["scaler"])
    for name, part in _parts(trainer).items():
        if name in state["parts"]:
            part.load_state_dict(state["parts"][name])
    for name in state["counters"].keys() & trainer.counters:
        setattr(trainer, name, state["counters"][name])
    restore_random_state(state["random"], trainer.device)


def weights_to_hand_over(state: dict) -> dict[str, Tensor]:
    """The weights of such a state that are tested and exported: those of the best epoch where it was kept.

    Otherwise those of the last validation: the averaged ones where averaging was on.
    """
    parts = state["parts"]
    if "best_epoch" in parts:
        return parts["best_epoch"]["weights"]
    return parts["averaging"]["average"] if "averaging" in parts else state["model"]


def _own_of_rank(progress: dict[str, Any]) -> dict[str, object]:
    """What is not the same on every rank: random generators, and what a technique counted of its own samples."""
    parts = {name: part for name, part in progress["parts"].items() if name not in ("averaging", "best_epoch")}
    return {"random": progress["random"], "parts": parts}


def _of_this_rank(state: dict, ranks: Ranks | None) -> dict[str, object]:
    saved, now = len(state.get("ranks", [None])), 1 if ranks is None else ranks.size
    if saved != now:
        raise ValueError(f"The checkpoint was saved by {saved} ranks, but this run has {now}; resume with {saved}.")
    if ranks is None:
        return {}
    own = state["ranks"][ranks.rank]
    return own | {"parts": state["parts"] | own["parts"]}


def _parts(trainer: Resumable) -> dict[str, Any]:
    return {"scheduler": trainer.scheduler, "gradient_step": trainer.gradient_step} | trainer.techniques.with_state()
