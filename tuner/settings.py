"""What a search is told: every option of the command line, typed, checked at construction."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from search_spaces.registry import get_space

POLICIES = ("asha", "random")
DEFAULT_TRIALS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """One search as its user asked for it; None leaves the choice to the machine or the space."""

    space: str
    """Name of the search space."""
    data: str | None = None
    """Folder of images and masks; None is the embedded data."""
    num_trials: int = DEFAULT_TRIALS
    max_epochs: int | None = None
    """Planned length of a full training in epochs."""
    time_budget_seconds: float | None = None
    concurrent: int | None = None
    """Trials at a time."""
    cpus_per_trial: float | None = None
    gpus_per_trial: float | None = None
    address: str | None = None
    """Address of a running Ray cluster; None starts one on this machine."""
    storage: Path = Path("results")
    """Folder that holds the results of all searches."""
    name: str = field(default_factory=lambda: datetime.now().strftime("%Y-%m-%d_%H-%M-%S"))
    """Folder of this search below `storage`/`space`."""
    seed: int = 0
    policy: str = "asha"
    """asha: Optuna proposes, poor trials stop early; random: random proposals at full length."""
    confirm: int = 1
    """How many of the best are trained again beside the default, on several seeds; 0 is off."""
    inverted_masks: bool | None = None
    """255 is the background; None: the object, but stop when it looks otherwise."""
    pinned: dict[str, object] = field(default_factory=dict)
    """Parameters that do not vary."""

    def __post_init__(self) -> None:
        get_space(self.space)
        for name in ("num_trials", "max_epochs", "concurrent"):
            _check_at_least(name, getattr(self, name), 1)
        for name in ("confirm", "gpus_per_trial", "seed"):
            _check_at_least(name, getattr(self, name), 0)
        for name in ("time_budget_seconds", "cpus_per_trial"):
            _check_positive(name, getattr(self, name))
        if self.policy not in POLICIES:
            raise ValueError(f"policy is {self.policy!r}; allowed: {', '.join(POLICIES)}.")
        if not re.fullmatch(r"[\w.-]+", self.name):
            raise ValueError(f"name is {self.name!r}; allowed: letters, digits, dot, dash and underscore.")
        if self.gpus_per_trial is not None and self.gpus_per_trial > 1:
            raise ValueError(f"gpus_per_trial is {self.gpus_per_trial}; a trial uses one GPU or a fraction of it.")

    @property
    def folder(self) -> Path:
        """Where this search's results go."""
        return self.storage / self.space / self.name


def _check_at_least(name: str, value: float | None, low: float) -> None:
    if value is not None and not value >= low:
        raise ValueError(f"{name} is {value}; it must be {low} or more.")


def _check_positive(name: str, value: float | None) -> None:
    if value is not None and not value > 0:
        raise ValueError(f"{name} is {value}; it must be more than 0.")
