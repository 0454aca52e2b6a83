"""The settings of a search: every command-line option, typed and checked at construction."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

from search_spaces.ranges import OneOf, Range
from trainable.configuration.fields import unknown_name
from trainable.configuration.reference import Reference, find, is_reference
from trainable.remote.uri import check_uri, child_uri
from tuner.planning.spaces import FoundSpace, find_space
from tuner.planning.user_sampler import user_sampler
from tuner.records.confirm_seeds import DEFAULT_SEEDS, ConfirmSeeds
from tuner.records.settings import NAME_PATTERN, SAMPLERS, SCHEDULERS, SchedulerName

DEFAULT_SPACE = "moe"
DEFAULT_TRIALS = 30
RESULTS = Path("results")
AUTO = Path("auto")
"""Value of `warm_start` for the latest search of the same space and data."""
MOST = 100_000
"""Limit of whole numbers that a search counts up to: ten times the largest search that is measured."""
DEVICES = ("cpu", "cuda", "mps")
LIMITS = ("latency_ms", "params_m", "peak_gib")
"""Quantities of a network that can be limited: trainable/workloads/limits.py."""
_OPTIONS = {
    "num_trials": "--trials",
    "time_budget_seconds": "--time-budget",
    "duration": "--for",
    "duration_seconds": "--for",
    "disk_budget_bytes": "--disk-budget",
    "pinned": "--set",
    "limits": "--limit",
}
"""Options whose names differ from their settings'."""
_OWN_OPTION = {"workload": "--space", "source": "--data", "seed": "--seed", "max_epochs": "--max-epochs"}
"""Fields of a configuration that an option sets; --set can't."""


def option_of(setting: str) -> str:
    """The command-line option of a setting."""
    return _OPTIONS.get(setting, f"--{setting.replace('_', '-')}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """The user's settings of one search; None leaves the choice to the machine or the space."""

    space: str = DEFAULT_SPACE
    """Name of the search space, or a reference to one of the user's: `module:NAME` or `file.py:NAME`."""
    data: str | None = None
    """Folder of the workload's data; None is the embedded data."""
    init: Path | None = None
    """Folder of an export, or weights file, that every training starts from; None is the workload's default."""
    num_trials: int = DEFAULT_TRIALS
    max_epochs: int | None = None
    """Planned length of a full training in epochs."""
    time_budget_seconds: float | None = None
    duration_seconds: float | None = None
    """Time for everything, the planning and the confirmation included; trials and epochs are planned to fit."""
    left_seconds: float | None = None
    """Time left for search and confirmation; set by the planning."""
    disk_budget_bytes: int | None = None
    """Total size of the checkpoints of all trials."""
    concurrent: int | None = None
    """Trials at a time."""
    cpus_per_trial: float | None = None
    gpus_per_trial: float | None = None
    """A fraction of one GPU, or whole ones."""
    ranks_per_trial: int | None = None
    """Processes that train one trial together; None is one for each of its GPUs."""
    device: str | None = None
    """Device of the trials, one of DEVICES; None is a CUDA GPU if there is one, else the CPU."""
    address: str | None = None
    """Address of a running Ray cluster; None starts one on this machine."""
    num_cpus: int | None = None
    """CPUs of this machine for all trials; None is all that the process may use."""
    num_gpus: int | None = None
    """GPUs of this machine for all trials; None is all that the process sees."""
    storage: Path | str = RESULTS
    """Folder that holds the results of all searches, or the URI that those in RESULTS are copied to."""
    name: str = field(default_factory=lambda: datetime.now().strftime("%Y-%m-%d_%H-%M-%S"))
    """Folder of this search below the space's."""
    seed: int = 0
    scheduler: SchedulerName = "asha"
    """asha: trials pause at rungs, the most promising continue; asha-stopping: poor trials stop at rungs;
    none: every trial trains to its full length."""
    sampler: str = "forecast"
    """Who proposes: forecast is a Gaussian process over all rungs; tpe, gp and cmaes are Optuna's; or a reference to a
    sampler of the user's: `module:NAME` or `file.py:NAME`."""
    confirm: int = 3
    """Number of best trials that are retrained with the default, on several seeds; 0 is off."""
    confirm_seeds: ConfirmSeeds = DEFAULT_SEEDS
    """Number of seeds; in a range, the exported trial and the default get more while their difference is undecided."""
    track: tuple[str, ...] = ()
    """Trackers beside TensorBoard: mlflow, wandb."""
    inverted_masks: bool | None = None
    """True: 255 is the background; None: 255 is the object, but stop if the masks look inverted."""
    warm_start: Path | None = None
    """Folder of an earlier search of the same space to start from; `auto` is the latest of the same data."""
    pinned: dict[str, object] = field(default_factory=dict)
    """Parameters that do not vary."""
    ranges: dict[str, Range | OneOf] = field(default_factory=dict)
    """Parameters that vary as the user says, not as the space does."""
    limits: dict[str, float] = field(default_factory=dict)
    """Limits on a network, by quantity, one of LIMITS; a configuration that breaks one is not trained."""

    def __post_init__(self) -> None:
        _ = self.found_space
        self._check_numbers()
        if self.duration_seconds is not None and self.time_budget_seconds is not None:
            raise ValueError("--for and --time-budget both limit the time; give one of them.")
        _check_ranks(self.gpus_per_trial, self.ranks_per_trial)
        _check_device(self.device, self.gpus_per_trial, self.num_gpus, self.ranks_per_trial)
        if self.address is not None and (self.num_cpus is not None or self.num_gpus is not None):
            raise ValueError("--num-cpus and --num-gpus apply to this machine; a cluster has its own: leave them out.")
        _check_limits(self.limits, ranks=max(self.ranks_per_trial or 1, self.gpus_per_trial or 1))
        if self.scheduler not in SCHEDULERS:
            raise ValueError(f"--scheduler is {self.scheduler!r}; allowed: {', '.join(SCHEDULERS)}.")
        _check_sampler(self.sampler)
        if not re.fullmatch(NAME_PATTERN, self.name):
            raise ValueError(
                f"--name is {self.name!r}; allowed: at most 100 letters, digits, dots, dashes and underscores, not "
                "starting with a dot or a dash."
            )
        _check_storage(self.storage, self.disk_budget_bytes)
        _check_data(self.data, self.inverted_masks)
        for name, value in (self.pinned | self.ranges).items():
            if name in _OWN_OPTION:
                raise ValueError(f"--set {name}={value} would be overruled; give it as {_OWN_OPTION[name]}.")
        if self.init is not None and "weights" in self.pinned:
            raise ValueError("--init and --set weights both set the initial weights; give one of them.")

    def _check_numbers(self) -> None:
        for name in ("num_trials", "max_epochs", "concurrent", "ranks_per_trial", "num_cpus"):
            _check_between(name, getattr(self, name), 1, MOST)
        for name in ("confirm", "gpus_per_trial", "num_gpus"):
            _check_between(name, getattr(self, name), 0, MOST)
        _check_between("seed", self.seed, 0)
        for name in ("time_budget_seconds", "duration_seconds", "cpus_per_trial"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{option_of(name)} is {value}; it must be a number above 0.")

    @property
    def user_sampler(self) -> Reference | None:
        """The user's own sampler; raises ValueError if there is none."""
        return find(self.sampler) if is_reference(self.sampler) else None

    @property
    def folder(self) -> Path:
        """The results folder of this search."""
        storage = RESULTS if isinstance(self.storage, str) else self.storage
        return storage / self.found_space.space.name / self.name

    @property
    def copy(self) -> str | None:
        """The URI that the results folder of this search is copied to."""
        if not isinstance(self.storage, str):
            return None
        return child_uri(self.storage, self.found_space.space.name, self.name)

    @property
    def found_space(self) -> FoundSpace:
        """The space, and where it comes from; raises ValueError if there is none."""
        return find_space(self.space)


def _check_device(
    device: str | None, gpus_per_trial: float | None, num_gpus: int | None, ranks_per_trial: int | None
) -> None:
    if device is not None and device not in DEVICES:
        raise ValueError(f"--device is {device}; allowed: {', '.join(DEVICES)}.")
    for option, gpus in {"--gpus-per-trial": gpus_per_trial, "--num-gpus": num_gpus}.items():
        if device in ("cpu", "mps") and gpus:
            raise ValueError(f"--device {device} uses no CUDA GPU; leave out {option} {gpus:g}.")
    if device == "mps" and (ranks_per_trial or 1) > 1:
        raise ValueError(
            f"--ranks-per-trial is {ranks_per_trial}, but several processes can't share the Apple GPU of --device mps; "
            "leave one of them out."
        )


def _check_between(name: str, value: float | None, low: int, high: float = math.inf) -> None:
    if value is not None and not low <= value <= high:
        allowed = f"from {low} to {high}" if math.isfinite(high) else f"{low} or more"
        raise ValueError(f"{option_of(name)} is {value}; it must be {allowed}.")


def _check_limits(limits: Mapping[str, object], *, ranks: float) -> None:
    for quantity, limit in limits.items():
        if quantity not in LIMITS:
            raise ValueError(unknown_name("quantity of --limit", quantity, LIMITS))
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit < math.inf:
            raise ValueError(f"--limit {quantity} is {limit!r}; it must be a number above 0.")
    if limits and ranks > 1:
        raise ValueError("--limit is measured in one process; leave it out for trials of several processes.")


def _check_sampler(sampler: str) -> None:
    if isinstance(sampler, str) and is_reference(sampler):
        user_sampler(find(sampler).text)
    elif sampler not in SAMPLERS:
        raise ValueError(
            f"--sampler is {sampler!r}; allowed: {', '.join(SAMPLERS)}, or one of your own: module:NAME, file.py:NAME."
        )
    elif sampler == "cmaes" and find_spec("cmaes") is None:
        raise ValueError("--sampler cmaes needs its package; install it with: pip install 'vision-tuner[cmaes]'.")


def _check_ranks(gpus: float | None, ranks: int | None) -> None:
    if gpus is not None and gpus > 1 and gpus != int(gpus):
        raise ValueError(f"--gpus-per-trial is {gpus:g}; a trial uses a fraction of one GPU, or whole ones.")
    if ranks is None or gpus is None or gpus == 0:
        return
    if gpus != ranks and (ranks > 1 or gpus > 1):
        raise ValueError(
            f"--ranks-per-trial is {ranks} and --gpus-per-trial {gpus:g}; each process has a GPU of its own: give the "
            "same number, or leave one of them out."
        )


def _check_storage(storage: Path | str, disk_budget_bytes: int | None) -> None:
    if isinstance(storage, Path):
        # It has lost a slash, and would silently become a local folder `s3:`.
        if re.match(r"[a-z][a-z0-9+.-]+:/", str(storage)):
            raise ValueError(
                f"--storage is the path {storage}; give the address as a text, such as s3://bucket/results."
            )
        return
    check_uri(storage, "--storage")
    if disk_budget_bytes is not None:
        raise ValueError(
            "--disk-budget applies to the disk of a results folder, and --storage is an address, where each trial has "
            "one checkpoint; leave --disk-budget out."
        )


def _check_data(data: str | None, inverted_masks: bool | None) -> None:
    if data == "":
        raise ValueError("--data is empty; give a folder of data, or leave it out for the embedded data.")
    try:
        (data or "").encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"--data is {data!a}; its name is not UTF-8, which no record can hold: rename the folder."
        ) from error
    if data is None and inverted_masks is not None:
        raise ValueError("--inverted-masks applies to the masks of a folder; give it with --data, or leave it out.")
