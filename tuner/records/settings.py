"""`settings.json`: the user's settings and the choices made for them; all that a resume needs beside the events."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from search_spaces.ranges import SearchedRange
from search_spaces.space import Mode, Situation
from trainable.configuration.reference import Reference
from trainable.data.io.findings import FindingKind
from tuner import formatting
from tuner.policy.halving import sign_of
from tuner.records.atomic_file import replacing_for_good
from tuner.records.confirm_seeds import THREE_SEEDS, ConfirmSeeds
from tuner.records.typed_json import STRICT, Answers, Plain, parse

SETTINGS = "settings.json"
FORMAT = 3
READERS = {1: "version 0.1 reads it"}
"""Advice for each older format."""
NAME_PATTERN = r"\w[\w.-]{0,99}"
"""A search's name is a single folder name, never `..`."""
SchedulerName = Literal["asha", "asha-stopping", "none"]
SCHEDULERS: tuple[SchedulerName, ...] = get_args(SchedulerName)
SAMPLERS = ("forecast", "tpe", "gp", "cmaes", "random")
"""Samplers with a name; others are references, `module:Sampler`. Each works with every scheduler."""
POLICIES_OF_FORMAT_2: Mapping[str, tuple[SchedulerName, str]] = {
    "promote": ("asha", "forecast"),
    "asha": ("asha-stopping", "tpe"),
    "random": ("none", "random"),
}
AtLeastOne = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegativeInt = Annotated[int, Field(ge=0)]
NotNegative = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResources:
    """Trials at a time, and the share of the cluster for each."""

    concurrent: AtLeastOne
    """Trials at a time."""
    cpus_per_trial: Positive
    gpus_per_trial: NotNegative
    ranks_per_trial: AtLeastOne = 1
    """Data-parallel processes per trial."""
    follows_cluster: bool = False
    """Whether the number of trials at a time follows the nodes that join and leave, and the machine that the search is
    continued on, because the user gave none."""
    mps: bool = False
    """Trials train on the machine's Apple GPU, which Ray does not count."""

    @property
    def cpus_per_rank(self) -> float:
        return self.cpus_per_trial / self.ranks_per_trial

    @property
    def gpus_per_rank(self) -> float:
        return self.gpus_per_trial / self.ranks_per_trial

    @property
    def device(self) -> str:
        return "mps" if self.mps else "cuda" if self.gpus_per_trial else "cpu"

    def __str__(self) -> str:
        gpu = " and the Apple GPU" if self.mps else f" and {self.gpus_per_trial:g} GPU" if self.gpus_per_trial else ""
        ranks = f" for {self.ranks_per_trial} processes" if self.ranks_per_trial > 1 else ""
        trials, cpus = formatting.count(self.concurrent, "trial"), f"{self.cpus_per_trial:g} CPU"
        return f"{trials} at a time, {cpus}{gpu} each{ranks}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceAndData:
    """The part of a plan that the records keep: the space, as limited by the user, and the data."""

    space_reference: str | None = None
    """`module:NAME` of a user's own space; None for one of this package."""
    references: tuple[Reference, ...] = ()
    """Objects of the user's own that the search imports."""
    pins: dict[str, Plain]
    """Fixed values of parameters that the space asks for."""
    ranges: dict[str, SearchedRange] = field(default_factory=dict)
    """Ranges given by the user, by name."""
    situation: Situation
    """Facts that the ranges of the space depend on."""
    data_fingerprint: dict[str, str]
    images: dict[str, AtLeastOne]
    """Number of images by split; empty where a loop of the user's own does not say."""
    image_size_px: tuple[AtLeastOne, AtLeastOne] | None
    """Height and width; None where a loop of the user's own does not say."""
    class_counts: dict[str, dict[str, NotNegativeInt]] = field(default_factory=dict)
    """Number of images of each class, by split; empty if the workload counts none, and in older folders."""
    data_findings: tuple[FindingKind, ...] = ()
    """Data that was left out, and how the rest was read."""

    def space_and_data(self) -> dict[str, Any]:
        """These fields by name, for another object that has them."""
        return {one.name: getattr(self, one.name) for one in fields(SpaceAndData)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedSettings(SpaceAndData):
    """The settings with which a search started.

    Some may change: an extension raises `num_trials`, adds `first_answers` in a small space and ends
    `stated_seconds` and `duration_seconds`; a resume may give another `disk_budget_bytes`. A space with fewer
    configurations than `num_trials`, and a stated time that is used up, lower it to those; the time may lower `confirm`
    too. `resources` may follow a cluster.
    """

    __pydantic_config__ = STRICT

    format: int
    version: str
    """Version of the code that started it."""
    commit: str | None
    """Git commit of that code."""
    name: Annotated[str, Field(pattern=f"^{NAME_PATTERN}$")]
    """Name of its folder when it started."""
    space: str
    objective: str
    mode: Mode
    scheduler: SchedulerName
    sampler: str
    """One of SAMPLERS, or `module:NAME` of one of the user's own."""
    sampler_reference: Reference | None = None
    """The user's own sampler, which trials and exports do not import."""
    num_trials: AtLeastOne
    max_epochs: AtLeastOne
    rung_epochs: tuple[AtLeastOne, ...]
    reduction_factor: Annotated[int, Field(ge=2)]
    seed: int
    confirm: Annotated[int, Field(ge=0)]
    """Number of best trials that are retrained with the default; 0 is off."""
    confirm_seeds: ConfirmSeeds = THREE_SEEDS
    """Number of seeds of each."""
    resources: TrialResources
    stated_seconds: Positive | None = None
    """Time that the user stated for everything; None where none was, and in older folders."""
    duration_seconds: Positive | None = None
    """Time left for search and confirmation when it started; None without a stated time."""
    disk_budget_bytes: AtLeastOne | None = None
    """Total size of the checkpoints of all trials."""
    data: str | None
    """Folder of the data as given; None is the embedded data."""
    pinned: dict[str, Plain]
    """Parameters that the user fixed."""
    space_ranges: dict[str, str] | None = None
    """Ranges that the space asked for, as text by name; None in older records."""
    first_answers: tuple[Answers, ...]
    """Answers to try first, in this order, the default first."""
    warm_start: str | None
    """Folder of the earlier search that this one started from."""
    limits: dict[str, float] = field(default_factory=dict)
    """Limits on a network, by quantity."""
    track: tuple[str, ...] = ()
    """Trackers beside TensorBoard."""
    store: str | None = None
    """URI that its folder is copied to; None copies nothing."""
    base_config: dict[str, Plain]
    """The configuration that a trial's parameters override."""
    versions: dict[str, str]
    """Versions of the packages that a curve depends on."""

    def __post_init__(self) -> None:
        rungs = self.rung_epochs
        if list(rungs) != sorted({epoch for epoch in rungs if epoch < self.max_epochs}):
            raise ValueError(f"rung_epochs {list(rungs)} must ascend and end before max_epochs, {self.max_epochs}")
        own = self.sampler_reference
        if self.sampler not in SAMPLERS and (own is None or own.text != self.sampler):
            raise ValueError(f"there is no sampler {self.sampler}")
        if rungs and self.scheduler == "none":
            raise ValueError("rung_epochs must be empty for the scheduler none")
        if self.base_config.get("max_epochs") != self.max_epochs:
            raise ValueError(
                f"max_epochs is {self.max_epochs}, but {self.base_config.get('max_epochs')} in base_config"
            )

    @property
    def metric(self) -> str:
        """The objective as people read it, without the split."""
        return formatting.metric(self.objective)

    @property
    def sign(self) -> float:
        """Multiplies objectives so that higher is better, and converts them back."""
        return sign_of(self.mode)


def write_settings(folder: Path, settings: RecordedSettings) -> None:
    """Replaces the file atomically."""
    with replacing_for_good(folder / SETTINGS) as partial:
        partial.write_text(json.dumps(asdict(settings), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_settings(folder: Path) -> RecordedSettings:
    """The settings of a results folder of format 3 or 2.

    Raises:
        ValueError: the folder holds no search, a damaged one, one of another format, or one of code that lies in it.
    """
    path = folder / SETTINGS
    if not path.is_file():
        _check_address(folder)
        wanted = "give a folder results/<space>/<run>"
        if (folder / "config.json").is_file():
            raise ValueError(
                f"{folder} holds one configuration or its training, and no search; {wanted}, or show a training that "
                "has an epoch with vision-tuner page"
            )
        raise ValueError(f"{folder} holds no search: there is no {SETTINGS}; {wanted}")
    text, damaged = path.read_bytes(), f"{path} is damaged, restore it from a copy"
    content: dict[str, Any] = parse(text, dict[str, Any], damaged)
    found = content.get("format")
    if found == 2 and isinstance(found, int):
        text = json.dumps(_from_format_2(content, damaged)).encode()
    elif isinstance(found, int) and found != FORMAT:
        later = f"version {content.get('version', 'unknown')} reads it"
        advice = READERS.get(found, later if found > FORMAT else "no version wrote it, restore it from a copy")
        raise ValueError(f"{path} has format {found}, this version reads {FORMAT}: {advice}")
    settings: RecordedSettings = parse(text, RecordedSettings, damaged)
    user_sampler = () if settings.sampler_reference is None else (settings.sampler_reference,)
    _check_references(folder, (*settings.references, *user_sampler))
    return settings


def _check_address(folder: Path) -> None:
    """Raises ValueError for the address of a store, which as a path has lost one of two slashes."""
    address = re.match(r"([a-z][a-z0-9+.-]+):/(.*)", str(folder), re.DOTALL)
    if address is not None:
        uri = shlex.quote(f"{address[1]}://{address[2]}")
        raise ValueError(
            f"{uri} is an address, and this reads a folder on this machine; python -m tuner.search --resume {uri} "
            "fetches it to results/<space>/<run>, and continues what is not finished."
        )


def _check_references(folder: Path, references: tuple[Reference, ...]) -> None:
    """Raises ValueError for code inside the results folder, which is never imported."""
    whole = folder.resolve()
    for reference in references:
        if any(Path(place).resolve().is_relative_to(whole) for place in (reference.file, reference.folder)):
            raise ValueError(
                f"{folder / SETTINGS} names code inside the results folder, {reference.file}, which is never run; move "
                "it out of the folder, and start over with it."
            )


def _from_format_2(content: Mapping[str, Any], damaged: str) -> dict[str, Any]:
    """Converts settings of format 2, which had one field `policy`, and where `asha` named another scheduler."""
    policy = content.get("policy")
    if not isinstance(policy, str) or policy not in POLICIES_OF_FORMAT_2:
        allowed = ", ".join(POLICIES_OF_FORMAT_2)
        raise ValueError(f"{damaged}: policy is {policy!r:.60}, but must be one of {allowed}")
    scheduler, sampler = POLICIES_OF_FORMAT_2[policy]
    others = {name: value for name, value in content.items() if name != "policy"}
    return others | {"format": FORMAT, "scheduler": scheduler, "sampler": sampler}
