"""Clean and dirty dishes: classification of few, imbalanced pictures."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import nn

from trainable.class_supervision import ClassificationSupervision
from trainable.config import TrialConfig
from trainable.data.class_folder import ClassFolderOptions, open_class_folder
from trainable.data.dirty_variants import DirtyVariantsConfig, with_dirty_variants
from trainable.data.findings import Finding, format_table
from trainable.data.image_cache import default_cache_dir
from trainable.data.image_mask_set import Splits
from trainable.data.labelled_batches import LabelledEvaluationBatches, LabelledTrainingBatches
from trainable.data.labelled_images import LabelledImages
from trainable.data.plates import CLASS_NAMES, PlateConfig, plate_splits
from trainable.losses.classification import ClassificationLossConfig
from trainable.metrics.classification import METRIC_NAMES, ClassificationMetrics
from trainable.models.classifier import Classifier, ClassifierConfig
from trainable.tasks.dishes_presets import PRESETS
from trainable.tasks.task import Progress, Task
from trainable.techniques.batch_augmentation import BatchAugmentation, InTurn
from trainable.techniques.image_augmentation import ImageAugmentationConfig
from trainable.techniques.label_mixing import LabelMixing, MixingConfig
from trainable.techniques.random_streams import stream_seed
from trainable.techniques.test_time_augmentation import AveragedLooks, AveragedLooksConfig
from trainable.trainer import OptimizedTrainer

logger = logging.getLogger(__name__)

EMBEDDED = "plates"
SOURCE_OF_A_FILE = "(.+?)(_dirty_.*)?$"
"""A variant's name goes on after its clean parent's: plate_01_dirty_medium_02 comes from plate_01."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DishesData:
    """What to classify."""

    source: str = EMBEDDED
    """"plates" for the embedded generator, or a folder of class folders."""
    image_size_px: int = 64
    """Side of the square images that a folder's are resized to."""
    resize: Literal["crop", "squash"] = "crop"
    """crop: shapes stay and the middle is cut out; squash: all of the image, shapes change."""
    group_pattern: str = SOURCE_OF_A_FILE
    """Regular expression whose match in a file's name keeps files of one origin in one split."""
    split_seed: int = 0
    """How a folder is divided into train, validation and test, 0 or more."""
    plates: PlateConfig = field(default_factory=PlateConfig)
    """The embedded generator's settings."""

    def __post_init__(self) -> None:
        if self.split_seed and self.source == EMBEDDED:
            raise ValueError(
                f"split_seed is {self.split_seed}, but the embedded plates are drawn, not divided; give --data with it."
            )

    @property
    def options(self) -> ClassFolderOptions:
        return ClassFolderOptions(
            image_size_px=self.image_size_px,
            resize=self.resize,
            group_pattern=self.group_pattern,
            split_seed=self.split_seed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DishesConfig(TrialConfig):
    """A training of the classifier of dishes."""

    max_train_batches: int | None = None
    """Most micro-batches of an epoch, for a slow machine; None is all."""
    dirty_variants: DirtyVariantsConfig | None = None
    augmentation: ImageAugmentationConfig | None = None
    mixing: MixingConfig | None = None
    test_time_augmentation: AveragedLooksConfig | None = None
    """Averages several looks at each image of the final test; the validation of an epoch never does."""


class DishesTask(Task):
    """The dishes workload; macro-F1 on the validation split is its objective."""

    name = "dishes"
    objective = "val/macro_f1"
    mode = "max"
    worst_objective = 0.0
    metric_names = tuple(f"val/{name}" for name in METRIC_NAMES)
    presets: ClassVar[Mapping[str, Mapping[str, object]]] = PRESETS

    def default_config(self, source: str | None = None) -> DishesConfig:
        num_train, dirty_share = PlateConfig().num_train, PlateConfig().dirty_share
        num_dirty = int(num_train * dirty_share)
        return DishesConfig(
            workload=self.name,
            max_epochs=12,
            batch_size=32,
            data=DishesData(source=source or EMBEDDED),
            model=ClassifierConfig(class_names=CLASS_NAMES),
            loss=ClassificationLossConfig(class_weights="inverse", class_counts=(num_train - num_dirty, num_dirty)),
            augmentation=ImageAugmentationConfig(severity="photograph"),
            dirty_variants=DirtyVariantsConfig(),
        )

    def open_data(
        self, config: DishesConfig, *, cache_dir: Path | None = None, on_progress: Progress | None = None
    ) -> Splits:
        data, cache_dir, findings = config.data, cache_dir or default_cache_dir(), []
        if data.source == EMBEDDED:
            splits = plate_splits(data.plates, cache_dir, on_progress)
        else:
            folder = open_class_folder(Path(data.source), data.options, cache_dir=cache_dir, on_progress=on_progress)
            splits, findings = folder.splits, list(folder.findings)
        if config.dirty_variants is not None:
            splits, reached = with_dirty_variants(splits, config.dirty_variants, cache_dir)
            findings.append(reached)
        _tell(findings)
        return splits

    def suited_config(self, config: DishesConfig, splits: Splits) -> DishesConfig:
        """Classes and their numbers of training images are those of the data."""
        model = replace(config.model, class_names=splits.train.class_names)
        loss = replace(config.loss, class_counts=splits.train.class_counts())
        return replace(config, model=model, loss=loss)

    def build_model(self, config: DishesConfig) -> nn.Module:
        return Classifier(config.model).to(memory_format=torch.channels_last)

    def build_supervision(self, config: DishesConfig) -> ClassificationSupervision:
        return ClassificationSupervision(config.loss.build())

    def equip(self, trainer: OptimizedTrainer, config: DishesConfig) -> None:
        parts: list[BatchAugmentation] = []
        if config.augmentation is not None:
            parts.append(config.augmentation.build(config.max_epochs, stream_seed(config.seed, "augmentation")))
        if config.mixing is not None:
            generator = torch.Generator().manual_seed(stream_seed(config.seed, "mixing"))
            num_classes = len(config.model.class_names)
            parts.append(LabelMixing(config.mixing, num_classes=num_classes, generator=generator))
        if parts:
            trainer.augmentation = InTurn(parts)

    def build_metrics(self, config: DishesConfig, *, final: bool) -> ClassificationMetrics:
        return ClassificationMetrics(config.model.class_names)

    def training_batches(
        self, config: DishesConfig, data: LabelledImages, device: torch.device
    ) -> LabelledTrainingBatches:
        _check_classes(config, data)
        return LabelledTrainingBatches(
            data,
            batch_size=config.batch_size,
            seed=config.seed,
            device=device,
            max_batches=config.max_train_batches,
        )

    def evaluation_batches(
        self, config: DishesConfig, data: LabelledImages, device: torch.device
    ) -> LabelledEvaluationBatches:
        _check_classes(config, data)
        return LabelledEvaluationBatches(data, batch_size=config.batch_size, device=device)

    def test(
        self, trainer: OptimizedTrainer, config: DishesConfig, splits: Splits, device: torch.device
    ) -> dict[str, float]:
        """Where test-time augmentation is on, of averaged looks."""
        single = trainer.supervision
        if config.test_time_augmentation is not None:
            trainer.supervision = AveragedLooks(single, config.test_time_augmentation)
        try:
            return super().test(trainer, config, splits, device)
        finally:
            trainer.supervision = single


def _check_classes(config: DishesConfig, data: LabelledImages) -> None:
    if data.class_names != config.model.class_names:
        raise ValueError(
            f"The classes of {config.data.source} are {', '.join(data.class_names)}, but this configuration was found "
            f"on {', '.join(config.model.class_names)}; search that data anew, or rename its folders."
        )


def _tell(findings: list[Finding]) -> None:
    if findings:
        logger.info("%s", format_table(findings))
