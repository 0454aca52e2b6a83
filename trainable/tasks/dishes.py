"""Clean and dirty dishes: classification of few, imbalanced pictures."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from trainable.data.classes.batches import LabelledTrainingBatches
from trainable.data.classes.dirty_variants import (
    DirtyVariantsConfig,
    clean_and_dirty,
    no_variants,
    with_dirty_variants,
)
from trainable.data.classes.folder import ClassFolderOptions, open_class_folder
from trainable.data.classes.labelled_images import LabelledImages
from trainable.data.generated.plates import CLASS_NAMES, PlateConfig, plate_splits
from trainable.data.io.image_cache import default_cache_dir
from trainable.data.io.splits import FRACTIONS, Splits, check_drawn
from trainable.data.splitting.copies import COPY_MARKS
from trainable.losses.classification import ClassificationLossConfig
from trainable.models.classifier import Classifier, ClassifierConfig
from trainable.tasks.classification import ClassificationConfig, ClassificationTask, check_classes, user_classifier
from trainable.tasks.data_notes import of_folders_alone, with_findings
from trainable.tasks.presets.dishes import PRESETS
from trainable.tasks.task import Progress
from trainable.techniques.augment.image_augmentation import ImageAugmentationConfig
from trainable.techniques.optim.optimizer import OptimizerConfig

EMBEDDED = "plates"
SOURCE_OF_A_FILE = rf"(?i)(.+?)((_(dirty|{COPY_MARKS})|(_(jpe?g|png))?\.rf\.).*)?$"
"""A variant's name begins with its clean parent's: plate_01_dirty_medium_02 and plate_01_rotated come from plate_01."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DishesData:
    """Source and size of the images."""

    source: str = EMBEDDED
    """"plates" for the embedded generator, or a folder of class folders."""
    image_size_px: int = 64
    """Side of the square images that a folder's are resized to."""
    resize: Literal["crop", "squash"] = "crop"
    """crop: shapes stay and the middle is cut out; squash: all of the image, shapes change."""
    group_pattern: str = SOURCE_OF_A_FILE
    """Regular expression whose match in a file's name keeps files of one origin in one split."""
    split_seed: int = 0
    """Seed of the division of a folder into train, validation and test, 0 or more."""
    split_fractions: tuple[float, float, float] | None = None
    """Shares of train, validation and test where a folder names no splits; None: 0.6, 0.2, 0.2."""
    plates: PlateConfig = field(default_factory=PlateConfig)
    """The embedded generator's settings."""

    def __post_init__(self) -> None:
        if self.source == EMBEDDED:
            check_drawn("plates", split_seed=self.split_seed, split_fractions=self.split_fractions)

    @property
    def side_px(self) -> int:
        """Side of the square training images."""
        return self.plates.plate_size_px if self.source == EMBEDDED else self.image_size_px

    @property
    def options(self) -> ClassFolderOptions:
        return ClassFolderOptions(
            image_size_px=self.image_size_px,
            resize=self.resize,
            group_pattern=self.group_pattern,
            keep_alike=self.group_pattern == SOURCE_OF_A_FILE,
            split_seed=self.split_seed,
            fractions=self.split_fractions or FRACTIONS,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DishesConfig(ClassificationConfig):
    """A training of the classifier of dishes."""

    max_train_batches: int | None = None
    """Most micro-batches of an epoch, for a slow machine; None is all."""
    dirty_variants: DirtyVariantsConfig | None = None

    def __post_init__(self) -> None:
        ClassificationConfig.__post_init__(self)
        if self.max_train_batches is not None and self.max_train_batches < 1:
            raise ValueError(f"max_train_batches is {self.max_train_batches}; it must be 1 or more.")


class DishesTask(ClassificationTask[DishesConfig]):
    """The dishes workload."""

    name = "dishes"
    presets = PRESETS

    def default_config(self, source: str | None = None) -> DishesConfig:
        num_train, dirty_share = PlateConfig().num_train, PlateConfig().dirty_share
        num_dirty = int(num_train * dirty_share)
        return DishesConfig(
            workload=self.name,
            max_epochs=12,
            batch_size=16,
            optimizer=OptimizerConfig(max_lr=1e-3, weight_decay=1e-4),
            data=DishesData(source=source or EMBEDDED),
            model=ClassifierConfig(class_names=CLASS_NAMES),
            loss=ClassificationLossConfig(class_weights="inverse", class_counts=(num_train - num_dirty, num_dirty)),
            augmentation=ImageAugmentationConfig(severity="photograph"),
            dirty_variants=DirtyVariantsConfig(),
        )

    def open_data(
        self, config: DishesConfig, *, cache_dir: Path | None = None, on_progress: Progress | None = None
    ) -> Splits:
        data, cache_dir = config.data, cache_dir or default_cache_dir()
        if data.source == EMBEDDED:
            findings = of_folders_alone(data, ("image_size_px", "group_pattern"), drawn="plates")
            splits = plate_splits(data.plates, cache_dir, on_progress)
        else:
            findings = []
            splits = open_class_folder(Path(data.source), data.options, cache_dir=cache_dir, on_progress=on_progress)
        class_names = splits.train.class_names
        if config.dirty_variants == DirtyVariantsConfig() and clean_and_dirty(class_names) is None:
            findings.append(no_variants(class_names))
        elif config.dirty_variants is not None:
            splits = with_dirty_variants(splits, config.dirty_variants, cache_dir, reading=data.options)
        return with_findings(splits, findings)

    def adapt_to_data(self, config: DishesConfig, splits: Splits) -> DishesConfig:
        """Sets the classes; turns dirty variants off unless they are clean and dirty."""
        config = super().adapt_to_data(config, splits)
        has_both = clean_and_dirty(splits.train.class_names) is not None
        return config if has_both else replace(config, dirty_variants=None)

    def build_model(self, config: DishesConfig) -> nn.Module:
        network = Classifier(config.model) if config.model.network is None else user_classifier(config)
        return network.to(memory_format=torch.channels_last)

    def training_batches(
        self, config: DishesConfig, data: LabelledImages, device: torch.device
    ) -> LabelledTrainingBatches:
        check_classes(config, data)
        return LabelledTrainingBatches(
            data,
            batch_size=config.batch_size,
            seed=config.seed,
            device=device,
            max_batches=config.max_train_batches,
        )
