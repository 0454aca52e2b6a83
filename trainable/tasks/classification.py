"""Shared by the workloads that classify single images; each adds its data and its network."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import torch
from torch import nn

from trainable.config import TrialConfig
from trainable.data.classes.batches import LabelledEvaluationBatches, LabelledTrainingBatches
from trainable.data.classes.folder import RESIZES
from trainable.data.classes.labelled_images import LabelledImages
from trainable.data.io.splits import Splits
from trainable.metrics.classification import METRIC_NAMES, ClassificationMetrics
from trainable.models.user_network import build_user_network
from trainable.prediction.classes import ClassPredictor
from trainable.supervision.classification import ClassificationSupervision
from trainable.supervision.head_start import PROBE, RANDOM, check_head_start, start_head
from trainable.supervision.linear_probe import LabelProbe, features_of
from trainable.supervision.trivial import TrivialPredictor, class_predictors
from trainable.tasks.task import Task
from trainable.techniques.augment.batch_augmentation import BatchAugmentation, Compose
from trainable.techniques.augment.image_augmentation import ImageAugmentationConfig
from trainable.techniques.augment.label_mixing import LabelMixing, MixingConfig
from trainable.techniques.parallel.random_streams import stream_seed
from trainable.techniques.techniques import Techniques
from trainable.techniques.test_time_augmentation import ClassViewsConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationConfig(TrialConfig):
    """A training of a classifier; `model` has `class_names`, `loss` is a ClassificationLossConfig."""

    augmentation: ImageAugmentationConfig | None = None
    mixing: MixingConfig | None = None
    test_time_augmentation: ClassViewsConfig | None = None
    """Averages several views of each image of the final test and of a prediction, never of an epoch's validation."""
    head_start: str = RANDOM
    """"random", or "probe": the last layer starts at a linear probe of the trained weights."""

    def __post_init__(self) -> None:
        TrialConfig.__post_init__(self)
        check_head_start(self.head_start, has_user_network=getattr(self.model, "network", None) is not None)


def started_at_probe(
    task: Task[Any], config: Any, model: nn.Module, train: LabelledImages, num_classes: Sequence[int]
) -> bool:
    """Starts the head at a linear probe where `head_start` says so; returns whether it did."""
    if config.head_start != PROBE:
        return False
    batches = task.evaluation_batches(config, train, next(model.parameters()).device)
    start_head(model, batches, num_images=len(train), num_classes=num_classes)
    return True


Config = TypeVar("Config", bound=ClassificationConfig)


class ClassificationTask(Task[Config]):
    """The objective is macro-F1 on the validation split."""

    objective = "val/macro_f1"
    mode = "max"
    metric_names = tuple(f"val/{name}" for name in METRIC_NAMES)

    def adapt_to_data(self, config: Config, splits: Splits) -> Config:
        """Sets the classes, and the number of training images of each, to those of the data."""
        model = replace(config.model, class_names=splits.train.class_names)
        loss = replace(config.loss, class_counts=splits.train.class_counts())
        return replace(config, model=model, loss=loss)

    def build_supervision(self, config: Config) -> ClassificationSupervision:
        return ClassificationSupervision(config.loss.build())

    def build_techniques(self, config: Config, model: nn.Module, optimizer: torch.optim.Optimizer) -> Techniques:
        parts: list[BatchAugmentation] = []
        if config.augmentation is not None:
            parts.append(config.augmentation.build(config.max_epochs, stream_seed(config.seed, "augmentation")))
        if config.mixing is not None:
            generator = torch.Generator().manual_seed(stream_seed(config.seed, "mixing"))
            num_classes = len(config.model.class_names)
            parts.append(LabelMixing(config.mixing, num_classes=num_classes, generator=generator))
        return Techniques(augmentation=Compose(parts) if parts else None)

    def build_metrics(self, config: Config, *, final: bool) -> ClassificationMetrics:
        return ClassificationMetrics(config.model.class_names)

    def class_counts(self, config: Config, data: LabelledImages) -> dict[str, int]:
        return data.counts_by_name()

    def trivial_predictors(self, config: Config, data: LabelledImages) -> tuple[TrivialPredictor, ...]:
        return class_predictors(data.class_counts(), config.model.class_names)

    def start(self, config: Config, model: nn.Module, train: LabelledImages) -> bool:
        return started_at_probe(self, config, model, train, [len(config.model.class_names)])

    def linear_probe(self, config: Config, model: nn.Module) -> LabelProbe:
        return LabelProbe(features_of(model), [len(config.model.class_names)])

    def training_batches(self, config: Config, data: LabelledImages, device: torch.device) -> LabelledTrainingBatches:
        check_classes(config, data)
        return LabelledTrainingBatches(data, batch_size=config.batch_size, seed=config.seed, device=device)

    def evaluation_batches(
        self, config: Config, data: LabelledImages, device: torch.device
    ) -> LabelledEvaluationBatches:
        check_classes(config, data)
        return LabelledEvaluationBatches(data, batch_size=config.batch_size, device=device)

    def predictor(self, config: Config) -> ClassPredictor:
        data = config.data
        return ClassPredictor(
            class_names=config.model.class_names,
            prepare=partial(RESIZES[data.resize], size=(data.side_px, data.side_px)),
            least_px=data.side_px,
            average_views=self.view_averaging(config),
        )


def user_classifier(config: TrialConfig) -> nn.Module:
    """Builds the user's own network, from images to logits (B, K) of `class_names`.

    Raises:
        ValueError: it cannot be built, or returns another form.
    """
    side_px, num_classes = config.data.side_px, len(config.model.class_names)
    return build_user_network(config.model, num_outputs=num_classes, is_mask=False, size_px=(side_px, side_px))


def check_classes(config: ClassificationConfig, data: LabelledImages) -> None:
    """Raises ValueError when the data has other classes than the configuration was found on."""
    if data.class_names != config.model.class_names:
        raise ValueError(
            f"The classes of {config.data.source} are {', '.join(map(str, data.class_names))}, but this configuration "
            f"was found on {', '.join(config.model.class_names)}; search that data again, or rename its folders."
        )
