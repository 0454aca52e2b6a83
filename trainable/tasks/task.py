"""The interface of a workload: its data, network, loss and metrics. The loop is the trainer's."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sized
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from trainable.config import TrialConfig
from trainable.prediction.base import Predictor
from trainable.supervision.base import Supervision
from trainable.supervision.evaluation import Metrics
from trainable.supervision.linear_probe import LinearProbe, measure_probe
from trainable.supervision.trivial import TrivialFloor, TrivialPredictor, measured_floors
from trainable.tasks.presets.preset import Preset
from trainable.techniques.experts.lasting_collapse import LastingCollapse
from trainable.techniques.techniques import Techniques
from trainable.techniques.test_time_augmentation import AveragedViews, ViewAveraging, single_view
from trainable.trainer import Trainer

Progress = Callable[[int, int], None]
Config = TypeVar("Config", bound=TrialConfig)
"""The configuration of one workload."""


class Batches(Sized, Iterable[tuple[Any, Any]], Protocol):
    """A split in batches (images, targets)."""


class TrainingBatches(Batches, Protocol):
    """Another order in every epoch."""

    def set_epoch(self, epoch: int) -> None: ...


class Task(ABC, Generic[Config]):
    """One workload. Stateless: everything it makes comes from a configuration and opened data."""

    name: ClassVar[str]
    """Its name in records, configurations and `--space`."""
    objective: ClassVar[str]
    """The metric that a search compares, one of `metric_names`; free of the loss that is searched."""
    mode: ClassVar[str]
    """"max" or "min"."""
    metric_names: ClassVar[tuple[str, ...]]
    """Names of the validation metrics of an epoch, as they stand in the results."""
    not_exchangeable: ClassVar[str | None] = None
    """Why its network can't be written as ONNX or torch.export; None where it can."""
    is_pretraining: ClassVar[bool] = False
    """Whether its weights start another workload (`--init`), whose default network is then its own default."""
    presets: ClassVar[Mapping[str, Preset]] = {}
    """Presets by name, for training without a search."""

    @property
    def measured_objective(self) -> str:
        """The objective by the name that `build_metrics` gives it: without the split, which a training adds."""
        return self.objective.removeprefix("val/")

    @abstractmethod
    def default_config(self, source: str | None = None) -> Config:
        """The fair default for the embedded data, or for the data at `source`."""

    @abstractmethod
    def open_data(self, config: Config, *, cache_dir: Path | None = None, on_progress: Progress | None = None) -> Any:
        """The three splits with their fingerprint; decodes or generates on first use only.

        Each has a length, and the one that is trained on `images` (N, H, W, 3).

        Raises:
            ValueError: the data cannot be trained on; the message holds all that is wrong.
        """

    @abstractmethod
    def adapt_to_data(self, config: Config, splits: Any) -> Config:
        """The configuration with what only the opened data can tell."""

    @abstractmethod
    def build_model(self, config: Config) -> nn.Module:
        """The network, with fresh weights from torch's global random generator."""

    @abstractmethod
    def build_supervision(self, config: Config) -> Supervision:
        """Builds what turns a batch into losses, and an evaluation batch into scores."""

    def build_techniques(self, config: Config, model: nn.Module, optimizer: torch.optim.Optimizer) -> Techniques:
        """The techniques that only this workload has, around its network on its device; none unless overridden."""
        return Techniques()

    def build_lasting_collapse(self, config: Config) -> LastingCollapse | None:
        """Builds the rule that ends a training whose experts stay collapsed; None never ends one."""
        return None

    @abstractmethod
    def build_metrics(self, config: Config, *, final: bool) -> Metrics:
        """A fresh accumulator; `final` adds what is too slow for every epoch."""

    @abstractmethod
    def training_batches(self, config: Config, data: Any, device: torch.device) -> TrainingBatches:
        """Batches of the training split with `set_epoch`."""

    @abstractmethod
    def evaluation_batches(self, config: Config, data: Any, device: torch.device) -> Batches:
        """Batches of a split, in order and unchanged."""

    def test(
        self, trainer: Trainer, config: Config, splits: Any, device: torch.device, *, weights: Mapping[str, Tensor]
    ) -> dict[str, float]:
        """Metrics of these weights of the trainer's model on the test split, by name.

        A task overrides this where a final test does what the rungs of a search cannot afford.
        """
        batches = self.evaluation_batches(config, splits.test, device)
        metrics = self.build_metrics(config, final=True)
        supervision = self.test_supervision(trainer.supervision, config)
        return trainer.evaluate(batches, metrics=metrics, supervision=supervision, weights=weights).flat

    def test_supervision(self, supervision: Supervision, config: Config) -> Supervision:
        """Supervision of a final test, which averages views of an image if there are several."""
        return AveragedViews(supervision, self.view_averaging(config))

    def view_averaging(self, config: Config) -> ViewAveraging:
        """How a final test and a prediction average views of an image: by `test_time_augmentation`, else one view."""
        views = getattr(config, "test_time_augmentation", None)
        return single_view if views is None else views.average_views

    def predictor(self, config: Config) -> Predictor:
        """Returns the predictor of single pictures for a trained network.

        Raises:
            ValueError: the workload defines none, or the configuration lacks values that are set from opened data.
        """
        raise ValueError(
            f"{self.name} defines no predictor; write the method `predictor` of its task, or load its network in "
            f'Python: get_task("{self.name}").build_model(config), then load_state_dict of weights.pt.'
        )

    def trivial_predictors(self, config: Config, data: Any) -> tuple[TrivialPredictor, ...]:
        """Predictions that look at no image, from the labels of the training split; none unless overridden."""
        return ()

    def class_counts(self, config: Config, data: Any) -> dict[str, int]:
        """Number of images or objects of each class in one split, by name; empty unless overridden."""
        return {}

    def trivial_floor(self, config: Config, splits: Any, split: str) -> TrivialFloor | None:
        """The trivial predictor with the best objective on `validation` or `test`; None if none has a finite one.

        An override may add facts: what the labels of the training split say of how hard they are to learn.
        """
        sign = 1.0 if self.mode == "max" else -1.0
        data, is_final = getattr(splits, split), split == "test"
        predictors = self.trivial_predictors(config, splits.train)
        if not predictors:
            return None
        measured = measured_floors(
            predictors,
            self.evaluation_batches(config, data, torch.device("cpu")),
            lambda: self.build_metrics(config, final=is_final),
            objective=self.measured_objective,
        )
        return max(measured, key=lambda one: sign * one.objective + one.spread, default=None)

    def start(self, config: Config, model: nn.Module, train: Any) -> bool:
        """Initialises a new network from the training split before the first epoch; returns whether it did."""
        return False

    def no_linear_probe(self, config: Config) -> str | None:
        """Clause on why a linear probe can't be measured; None if it can."""
        if type(self).linear_probe is Task.linear_probe:
            return f"{self.name} defines none"
        if getattr(config.model, "network", None) is not None:
            return "the network is your own, and which of its layers are features is not known"
        return None

    def linear_probe(self, config: Config, model: nn.Module) -> LinearProbe:
        """Returns the probe that fits and scores a linear layer on this frozen network.

        Raises:
            ValueError: there is none for the workload or for this network.
        """
        raise ValueError(f"No linear probe: {self.no_linear_probe(config)}.")

    def probe_metrics(self, config: Config, splits: Any, split: str, probe: LinearProbe) -> dict[str, float]:
        """The metrics of a linear probe on `validation` or `test`.

        Raises:
            ValueError: the objective is not finite.
        """
        sign = 1.0 if self.mode == "max" else -1.0
        is_final, device = split == "test", torch.device("cpu")
        metrics = measure_probe(
            probe,
            train=self.evaluation_batches(config, splits.train, device),
            num_images=len(splits.train),
            validation=self.evaluation_batches(config, splits.validation, device),
            test=self.evaluation_batches(config, splits.test, device) if is_final else None,
            new_metrics=lambda: self.build_metrics(config, final=is_final),
            better=lambda metrics: sign * metrics[self.measured_objective],
        )
        if not math.isfinite(metrics[self.measured_objective]):
            raise ValueError(f"No linear probe: its {self.measured_objective} on the {split} split is not finite.")
        return metrics

    def fresh_test_set(self, config: Config, count: int) -> Any:
        """Generated samples that are in none of the splits, the same for every seed of a training.

        Raises:
            ValueError: no such samples are drawn for this data, or `count` is below 1.
        """
        raise ValueError(f"{self.name} draws no fresh samples of {config.data.source}; leave --fresh-test out.")
