"""What passes between a search and the process that trains: a leg of a trial, and what is reported of each epoch.

A leg is a piece of a trial, from its start or a checkpoint to the next rung or the end. No torch: a search reads this
without it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainable.training_run import Ending, EpochResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """What a process is told to train."""

    trial: str
    """Name of the trial, such as 029-7682ec2b."""
    params: Mapping[str, Any]
    """Parameters over the base configuration."""
    folder: str
    """Where its checkpoints lie, seen by every machine."""
    from_epoch: int = 0
    """Epoch of the checkpoint that it goes on from; 0 is the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegReport:
    """What came of one step of a leg: an epoch whose checkpoint is on disk, or why there is none."""

    result: "EpochResult | None" = None
    """None where no epoch was trained."""
    ending: "Ending | None" = None
    """Why the trial is over; None while it may go on."""
    disk_full: str | None = None
    """The error that the checkpoint met; the epoch is lost, and the trial goes on from the one before."""
    process: str
    """Host and process id."""


def checkpoint_name(epoch: int) -> str:
    """Name of the file with the state after so many epochs."""
    return f"epoch_{epoch:04d}.pt"
