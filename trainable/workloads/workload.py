"""The interface between a search and the code that trains one configuration."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic

import torch

from trainable.configuration.run_config import Config
from trainable.data.io.findings import FindingKind
from trainable.run import Run
from trainable.supervision.trivial import TrivialFloor
from trainable.tasks.presets.preset import Preset
from trainable.techniques.memory import MicroBatchCaps
from trainable.techniques.parallel.data_parallel import Ranks

Progress = Callable[[int, int], None]
DEFAULT = "default"
"""The preset that every workload has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFacts:
    """Facts about the data for the ranges of a space and for reports; the defaults mean unknown."""

    images: Mapping[str, int] = field(default_factory=dict)
    """Number of images by split."""
    image_size_px: tuple[int, int] | None = None
    """Height and width."""
    pretrained: bool = False
    """The network starts from trained weights."""
    own_weights: bool = False
    """They are given by `--init`."""
    own_network: bool = False
    """The network is the user's own."""
    batch_size: int = 1
    """Images of a micro-batch."""
    num_tasks: int = 1
    class_counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Number of images of each class, by split."""
    findings: tuple[FindingKind, ...] = ()
    """Data that was left out, and how the rest was read."""


class Workload(ABC, Generic[Config]):
    """One workload. Stateless: everything it makes comes from a configuration and opened data."""

    name: str
    """Name in records and configurations."""
    objective: str
    """The metric that a search compares."""
    mode: str
    """`max` or `min`: whether a higher or a lower objective is better."""
    can_use_ranks: bool
    """Several processes may train one trial together."""
    presets: Mapping[str, Preset]
    """Configurations by name, for training without a search; DEFAULT is one of each workload."""

    @abstractmethod
    def default_config(self, source: str | None = None) -> Config:
        """The configuration that parameters override, for the data at `source`."""

    @abstractmethod
    def open_data(self, config: Config, *, cache_dir: Path | None = None, on_progress: Progress | None = None) -> Any:
        """The data with its `fingerprint`; raises ValueError when it cannot be trained on."""

    def adapt_to_data(self, config: Config, data: Any) -> Config:
        """The configuration with what only the opened data can tell; nothing unless overridden."""
        return config

    def facts(self, config: Config, data: Any) -> DataFacts:
        """Facts about the opened data for plans and reports; unknown unless overridden."""
        return DataFacts()

    def trivial_floor(self, config: Config, data: Any, split: str) -> TrivialFloor | None:
        """Score on a split of a prediction that looks at no image; None if unknown."""
        return None

    def no_linear_probe(self, config: Config) -> str | None:
        """Clause on why a linear probe can't be measured for a configuration; None if it can."""
        return f"{self.name} is a loop of your own, whose network is not known here"

    def linear_probe(self, config: Config, data: Any, split: str) -> dict[str, float]:
        """The metrics of a linear layer on the frozen features of the network as it starts.

        Raises:
            ValueError: there is none, or a package is missing.
        """
        raise ValueError(f"No linear probe: {self.no_linear_probe(config)}.")

    @abstractmethod
    def check(self, config: Config) -> None:
        """Raises ValueError or MemoryShortage when a run cannot be built of it; costs no training."""

    @abstractmethod
    def measure(self, config: Config, data: Any, device: torch.device, quantities: Iterable[str]) -> dict[str, float]:
        """The quantities of `--limit` that a configuration's network has, by name, without training it.

        Raises:
            ValueError: one of them can't be measured.
        """

    @abstractmethod
    def begin(
        self,
        config: Config,
        data: Any,
        *,
        device: torch.device | str,
        ranks: Ranks | None = None,
        caps: MicroBatchCaps | None = None,
    ) -> Run:
        """The run before its first epoch.

        Args:
            ranks: this process' place among those that train together; None trains alone.
            caps: micro-batches that are known to fit from earlier runs of this process.
        """
