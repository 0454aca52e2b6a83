"""The configuration of a loop of the user's own: parameters by name, of which this project knows no more."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from trainable.configuration.run_config import RunConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopData:
    """Where the loop finds its data."""

    source: str | None = None
    """Folder or file that `--data` names; None: the loop knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopConfig(RunConfig):
    """What a loop is called with."""

    free_params: ClassVar[str | None] = "params"

    params: dict[str, Any] = field(default_factory=dict)
    """What the space suggested, by its names."""
