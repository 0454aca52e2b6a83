"""Checkpoints: everything that a run needs to continue exactly, in one file without pickled code.

What: a trainer's state and that of every random generator, not its configuration; only tensors and plain values, for
`torch.load(weights_only=True)`. Written to a temporary file and renamed, so that a crash leaves the former file intact.
Cost: one write of the state. Off: do not call it.
"""

import os
import pickle
import random
import zipfile
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from trainable.plain_state import PLAIN, not_plain
from trainable.supervision.base import Supervision
from trainable.techniques.optim.gradient_update import GradientStep
from trainable.techniques.optim.precision import Precision
from trainable.techniques.optim.schedule import Schedule
from trainable.techniques.parallel.data_parallel import Ranks
from trainable.techniques.parallel.tensor_tree import map_tensors
from trainable.techniques.techniques import STATELESS, Techniques

FORMAT = 1
CPU = torch.device("cpu")


class CheckpointError(ValueError):
    """A file is not a checkpoint of this project, or has another format."""


class DamagedCheckpointError(CheckpointError):
    """The checkpoint is missing or damaged, and can't be recovered."""


def write_checkpoint(path: str | Path, state: dict) -> None:
    """Writes `state` (tensors, numbers, strings, lists, dicts) so that `path` is always a complete file.

    Raises:
        OSError: the disk is full, or can't be written to; a former file at `path` is unchanged.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    save_whole(Path(path), {"format": FORMAT, **state})


def save_whole(path: Path, content: Mapping[str, Any]) -> None:
    """Like `torch.save`, but `path` is always a complete file.

    Raises:
        OSError: the disk is full, or can't be written to; a former file at `path` is unchanged.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # Through a Python file, whose error reports a full disk; torch's own only reports that writing failed.
        with partial.open("wb") as file:
            torch.save(content, file)
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
        "mps": torch.mps.get_rng_state() if device.type == "mps" else None,
    }


def restore_random_state(state: dict, device: torch.device = CPU) -> None:
    """Restores a state of `random_state`; the generator of another kind of device is not touched."""
    version, keys, gauss = state["python"]
    random.setstate((version, tuple(keys), gauss))
    name, numpy_keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, np.array(numpy_keys, dtype=np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)
    if state.get("mps") is not None and device.type == "mps":
        torch.mps.set_rng_state(state["mps"].cpu())


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: dict) -> None:
    """Restores moments and step counts, but keeps the optimizer's current hyper-parameters.

    Moments of another algorithm mean something else: then they begin anew.
    """
    if any(map(_keeps_other_moments, optimizer.param_groups, state["param_groups"])):
        return
    configured = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    optimizer.load_state_dict(counts_on_cpu(state))
    for group, options in zip(optimizer.param_groups, configured, strict=True):
        group.update(options)


def _keeps_other_moments(group: Mapping[str, Any], saved: Mapping[str, Any]) -> bool:
    """Whether two parameter groups belong to optimizers with different moments.

    Adam, RMSprop and SGD each have an option that the others lack; RMSprop keeps one more moment with a momentum.
    """
    kinds = [
        ({"betas", "alpha", "dampening"} & one.keys(), "alpha" in one and one.get("momentum", 0) > 0)
        for one in (group, saved)
    ]
    return kinds[0] != kinds[1]


def counts_on_cpu(state: dict[str, Any]) -> dict[str, Any]:
    """The state of an optimizer with its step counts on the CPU, wherever it was loaded.

    An unfused optimizer reads them in each update; those on a GPU are waited for, one parameter after the other. Torch
    moves them where a fused or capturable one wants them.
    """
    moments = {}
    for index, slots in state["state"].items():
        moments[index] = dict(slots)
        count = slots.get("step")
        if isinstance(count, Tensor):
            moments[index]["step"] = count.cpu()
    return {**state, "state": moments}


class Resumable:
    """Saves and restores a trainer, which sets the attributes declared here."""

    counters: ClassVar[tuple[str, ...]] = ("current_epoch", "global_step")
    """Attributes that are saved as they are."""

    model: nn.Module
    supervision: Supervision
    optimizer: torch.optim.Optimizer
    precision: Precision
    scaler: torch.amp.GradScaler
    scheduler: Schedule
    gradient_step: GradientStep
    techniques: Techniques
    device: torch.device
    ranks: Ranks | None

    def save_checkpoint(self, path: str | Path, epoch: int, metrics: Mapping[str, object] | None = None) -> None:
        """Writes the whole state, so that `load_checkpoint` continues after `epoch` to the bit.

        All ranks call it, and the first writes.

        Raises:
            ValueError: the metrics, or the model's extra state, hold what no such file could be read with.
        """
        # A file without pickled code holds Python's numbers, not those of NumPy and torch.
        plain = {name: one.tolist() if hasattr(one, "tolist") else one for name, one in (metrics or {}).items()}
        state = {"epoch": epoch, "metrics": plain, "trainer": self.state_dict()}
        unsafe = not_plain(map_tensors(lambda tensor: tensor.new_empty(0), state))
        if unsafe:
            raise ValueError(f"{path} would hold {', '.join(unsafe)}; {PLAIN}: convert it.")
        if self.ranks is None or self.ranks.is_first:
            write_checkpoint(path, state)

    def load_checkpoint(self, path: str | Path) -> int:
        """Restores the state under the present configuration and returns its epoch.

        Raises:
            CheckpointError: the file is not a checkpoint of this format.
        """
        checkpoint = read_checkpoint(path, self.device)
        self.load_state_dict(checkpoint["trainer"])
        return checkpoint["epoch"]

    def state_dict(self) -> dict[str, Any]:
        """Weights, moments, the state of each technique that is on, counters and random generators, of all ranks."""
        state = {
            "model": self.model.state_dict(),
            "supervision": self.supervision.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "parts": {name: part.state_dict() for name, part in self._parts().items()},
            "counters": {name: getattr(self, name) for name in self.counters},
            "random": random_state(self.device),
        }
        if self.ranks is None:
            return state
        # Not the same on every rank: random generators, and what a technique counted of its own samples.
        parts = {name: part for name, part in state["parts"].items() if name != "averaging"}
        return state | {"ranks": self.ranks.gathered({"random": state["random"], "parts": parts})}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores `state_dict`; learning rates, decay and strengths stay as configured now.

        A technique that was off then starts from its initial state.

        Raises:
            ValueError: another number of ranks trained until then.
        """
        state = {**state, **_of_this_rank(state, self.ranks)}
        self.model.load_state_dict(state["model"])
        self.supervision.load_state_dict(state["supervision"])
        load_optimizer_state(self.optimizer, state["optimizer"])
        # A new one: an update that ran out of memory leaves the scaler in the middle of it, which no state undoes.
        self.scaler = self.precision.scaler()
        # Empty when the saved run did not scale its loss; the scaler then starts from its initial state.
        if state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])
        for name, part in self._parts().items():
            if name in state["parts"]:
                part.load_state_dict(state["parts"][name])
        if self.techniques.averaging is not None and "averaging" not in state["parts"]:
            # It was off then: the average begins at the weights of the checkpoint, not at those it was built with.
            self.techniques.averaging.restart()
        for name in state["counters"].keys() & self.counters:
            setattr(self, name, state["counters"][name])
        restore_random_state(state["random"], self.device)

    def _parts(self) -> dict[str, Any]:
        """Parts with state other than the model and its optimizer, by name; only active techniques."""
        parts = {"scheduler": self.scheduler, "gradient_step": self.gradient_step}
        for field in fields(self.techniques):
            technique = getattr(self.techniques, field.name)
            if field.name not in STATELESS and technique is not None:
                parts[field.name] = technique
        return parts


def run_state(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    """States that a TrainingRun saves besides its trainer; older checkpoints hold them in the trainer's parts."""
    return checkpoint.get("run", checkpoint["trainer"]["parts"])


def weights_to_export(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the weights to test and to export, as `handed_over` of the run that wrote this checkpoint."""
    if "handed_over" in checkpoint:
        return checkpoint["handed_over"]
    best, trained = run_state(checkpoint).get("best_epoch"), checkpoint["trainer"]
    if best is not None and best["weights"]:
        return best["weights"]
    return trained["parts"]["averaging"]["average"] if "averaging" in trained["parts"] else trained["model"]


def _of_this_rank(state: Mapping[str, Any], ranks: Ranks | None) -> dict[str, object]:
    saved, now = len(state.get("ranks", [None])), 1 if ranks is None else ranks.size
    if saved != now:
        raise ValueError(f"The checkpoint was saved by {saved} ranks, but this run has {now}; resume with {saved}.")
    if ranks is None:
        return {}
    own = state["ranks"][ranks.rank]
    return own | {"parts": state["parts"] | own["parts"]}
