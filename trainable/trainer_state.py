"""What a checkpoint holds of a trainer: its progress, never its configuration."""

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from trainable.supervision.base import Supervision
from trainable.techniques.checkpoint import load_optimizer_progress, random_state, restore_random_state
from trainable.techniques.parallel.data_parallel import Ranks

PARTS = (
    "scheduler",
    "gradient_step",
    "augmentation",
    "contrastive",
    "load_balancer",
    "collapse_detector",
    "collapse_response",
    "lasting_collapse",
    "averaging",
    "early_stopping",
)
"""Attributes of a trainer that have a state of their own, or are None."""
COUNTERS = ("current_epoch", "global_step", "best_loss", "latest_loss")


class Trainer(Protocol):
    """What is needed of a trainer, beside the attributes that PARTS and COUNTERS name."""

    model: nn.Module
    supervision: Supervision
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    device: torch.device
    ranks: Ranks | None


def progress_of(trainer: Trainer) -> dict[str, object]:
    """Weights, moments, the state of each technique that is on, counters and random generators."""
    progress: dict[str, object] = {
        "model": trainer.model.state_dict(),
        "supervision": trainer.supervision.state_dict(),
        "optimizer": trainer.optimizer.state_dict(),
        "scaler": trainer.scaler.state_dict(),
        "parts": {name: part.state_dict() for name, part in _parts(trainer).items()},
        "counters": {name: getattr(trainer, name) for name in COUNTERS},
        "random": random_state(trainer.device),
    }
    return progress if trainer.ranks is None else progress | {"ranks": trainer.ranks.gathered(_own_of_rank(progress))}


def restore_progress(trainer: Trainer, state: dict) -> None:
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
    for name in COUNTERS:
        setattr(trainer, name, state["counters"][name])
    restore_random_state(state["random"], trainer.device)


def evaluated_weights(state: dict) -> dict[str, Tensor]:
    """The weights of such a state that validation used: the averaged ones where averaging was on."""
    return state["parts"]["averaging"]["average"] if "averaging" in state["parts"] else state["model"]


def _own_of_rank(progress: dict[str, Any]) -> dict[str, object]:
    """What is not the same on every rank: random generators, and what a technique counted of its own samples."""
    parts = {name: part for name, part in progress["parts"].items() if name != "averaging"}
    return {"random": progress["random"], "parts": parts}


def _of_this_rank(state: dict, ranks: Ranks | None) -> dict[str, object]:
    saved, now = len(state.get("ranks", [None])), 1 if ranks is None else ranks.size
    if saved != now:
        raise ValueError(f"The checkpoint is of {saved} ranks, and {now} would go on; resume with as many as saved it.")
    if ranks is None:
        return {}
    own = state["ranks"][ranks.rank]
    return own | {"parts": state["parts"] | own["parts"]}


def _parts(trainer: Trainer) -> dict[str, Any]:
    return {name: getattr(trainer, name) for name in PARTS if getattr(trainer, name) is not None}
