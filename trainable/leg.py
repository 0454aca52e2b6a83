"""The messages between a search and a training process: a leg of a trial, and a report per epoch.

A leg is a part of a trial, from its start or a checkpoint to the next rung or the end. Imports no torch, because the
search imports this.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainable.run import Ending, EpochResult

LIMIT_PREFIX = "limit/"
"""Prefix of metrics with the quantities of `--limit`, in the first result of a trial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """The work of one training process: a trial, from its start or a checkpoint to an epoch."""

    trial: str
    """Name of the trial, such as 029-7682ec2b."""
    params: Mapping[str, Any]
    """Parameters that override the base configuration."""
    folder: str
    """Folder of its checkpoints in the results folder, shared by all machines that have no store."""
    store: str | None = None
    """URI of the same folder in a store, which all machines reach."""
    from_epoch: int = 0
    """Epoch of the checkpoint that it continues from; 0 is the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegReport:
    """The result of one step of a leg: an epoch whose checkpoint is on disk, or why there is none."""

    result: "EpochResult | None" = None
    """None if no epoch was trained."""
    ending: "Ending | None" = None
    """Why the trial has ended; None while it may continue."""
    disk_full: str | None = None
    """The error on writing the checkpoint; the epoch is lost, and the trial continues from the one before."""
    process: str
    """Host and process id."""


def checkpoint_name(epoch: int) -> str:
    """File name of the checkpoint after this epoch."""
    return f"epoch_{epoch:04d}.pt"
