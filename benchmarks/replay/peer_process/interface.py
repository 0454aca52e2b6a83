"""Messages that both sides of the pipe exchange. Imports the standard library alone: two environments load it."""

from dataclasses import dataclass
from typing import Any, Protocol, TypedDict

CONTINUE, PAUSE, STOP = "continue", "pause", "stop"
"""Decisions of a peer about a trial that reported. A paused trial keeps its checkpoint."""


class Condition(TypedDict):
    """A parameter is asked for only where the parameter `on` has one of these choices, given by their places."""

    on: str
    choices: list[int]


class Parameter(TypedDict):
    """One parameter of a space. A choice is known by its place, from 0, because its values may be of any type."""

    name: str
    type: str
    """`float`, `int` or `choice`."""
    low: float
    high: float
    """Upper end, included; of a choice, the last index."""
    log: bool
    condition: Condition | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSetting:
    """The setting that a peer gets before its first proposal."""

    peer: str
    space: list[Parameter]
    mode: str
    """Direction of better values, `max` or `min`."""
    first_rung: int
    max_epochs: int
    reduction_factor: int
    trainings: int
    """The budget of the search in full trainings."""
    seed: int


class Peer(Protocol):
    """The peer's side. Trials are known by a number that rises with each proposal."""

    def suggest(self, trial: int) -> dict[str, Any] | None:
        """Work for a free worker: `{"start": values by name}` as this trial, or `{"resume": number of a paused trial}`.

        None: nothing to do until a running trial reports.
        """

    def report(self, trial: int, epoch: int, value: float) -> str:
        """A finite value after an epoch; returns one of the constants above. The last epoch ends a trial anyway."""

    def fail(self, trial: int) -> None:
        """The trial diverged: it has ended."""
