"""Diseases of leaves, told apart by a hierarchical vision transformer, from scratch or from a pre-trained encoder."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from trainable.class_supervision import ClassificationSupervision
from trainable.config import TrialConfig
from trainable.data.image_mask_set import Splits
from trainable.data.labelled_batches import LabelledEvaluationBatches, LabelledTrainingBatches
from trainable.data.labelled_images import LabelledImages
from trainable.data.leaf_pictures import CONDITIONS
from trainable.losses.classification import ClassificationLossConfig
from trainable.metrics.calibrated import CalibratedMetrics
from trainable.metrics.classification import METRIC_NAMES, ClassificationMetrics
from trainable.models.leaf_nets import LeafClassifier, LeafClassifierConfig
from trainable.supervision import Supervision
from trainable.tasks.leaf_data import EMBEDDED, LeafData, labelled_part, open_leaves
from trainable.tasks.task import Progress, Task
from trainable.techniques.batch_augmentation import BatchAugmentation, InTurn
from trainable.techniques.calibration import CollectedLogits
from trainable.techniques.image_augmentation import ImageAugmentationConfig
from trainable.techniques.label_mixing import LabelMixing, MixingConfig
from trainable.techniques.optimizer import OptimizerConfig
from trainable.techniques.random_streams import stream_seed
from trainable.techniques.test_time_augmentation import AveragedLooks, AveragedLooksConfig
from trainable.trainer import OptimizedTrainer


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafConfig(TrialConfig):
    """A training of the leaf classifier."""

    augmentation: ImageAugmentationConfig | None = None
    mixing: MixingConfig | None = None
    test_time_augmentation: AveragedLooksConfig | None = None
    """Averages several looks at each image of the final test; the validation of an epoch never does."""


class LeafTask(Task):
    """The leaf workload; macro-F1 on the validation split is its objective."""

    name = "leaf"
    objective = "val/macro_f1"
    mode = "max"
    worst_objective = 0.0
    metric_names = tuple(f"val/{name}" for name in METRIC_NAMES)

    def default_config(self, source: str | None = None) -> LeafConfig:
        return LeafConfig(
            workload=self.name,
            max_epochs=24,
            batch_size=16,
            data=LeafData(source=source or EMBEDDED),
            model=LeafClassifierConfig(class_names=CONDITIONS, drop_path=0.1),
            loss=ClassificationLossConfig(focal_gamma=2.0, focal_share=0.5, label_smoothing=0.1),
            optimizer=OptimizerConfig(max_lr=1e-3),
            augmentation=ImageAugmentationConfig(severity="moderate"),
            test_time_augmentation=AveragedLooksConfig(),
        )

    def open_data(
        self, config: LeafConfig, *, cache_dir: Path | None = None, on_progress: Progress | None = None
    ) -> Splits:
        splits = open_leaves(config.data, cache_dir, on_progress)
        return replace(splits, train=labelled_part(splits.train, config.data.labels_per_class))

    def suited_config(self, config: LeafConfig, splits: Splits) -> LeafConfig:
        """Classes and their numbers of training images are those of the data."""
        model = replace(config.model, class_names=splits.train.class_names)
        loss = replace(config.loss, class_counts=splits.train.class_counts())
        return replace(config, model=model, loss=loss)

    def build_model(self, config: LeafConfig) -> nn.Module:
        return LeafClassifier(config.model)

    def build_supervision(self, config: LeafConfig) -> ClassificationSupervision:
        return ClassificationSupervision(config.loss.build())

    def equip(self, trainer: OptimizedTrainer, config: LeafConfig) -> None:
        parts: list[BatchAugmentation] = []
        if config.augmentation is not None:
            parts.append(config.augmentation.build(config.max_epochs, stream_seed(config.seed, "augmentation")))
        if config.mixing is not None:
            generator = torch.Generator().manual_seed(stream_seed(config.seed, "mixing"))
            num_classes = len(config.model.class_names)
            parts.append(LabelMixing(config.mixing, num_classes=num_classes, generator=generator))
        if parts:
            trainer.augmentation = InTurn(parts)

    def build_metrics(self, config: LeafConfig, *, final: bool) -> ClassificationMetrics:
        return ClassificationMetrics(config.model.class_names)

    def training_batches(
        self, config: LeafConfig, data: LabelledImages, device: torch.device
    ) -> LabelledTrainingBatches:
        _check_classes(config, data)
        return LabelledTrainingBatches(data, batch_size=config.batch_size, seed=config.seed, device=device)

    def evaluation_batches(
        self, config: LeafConfig, data: LabelledImages, device: torch.device
    ) -> LabelledEvaluationBatches:
        _check_classes(config, data)
        return LabelledEvaluationBatches(data, batch_size=config.batch_size, device=device)

    def test(
        self, trainer: OptimizedTrainer, config: LeafConfig, splits: Splits, device: torch.device
    ) -> dict[str, float]:
        """Of averaged looks where they are on, with the calibration error before and after a temperature.

        The temperature is fitted on the validation split, under the same looks.
        """
        judge: Supervision = trainer.supervision
        if config.test_time_augmentation is not None:
            judge = AveragedLooks(judge, config.test_time_augmentation)
        validation, test = (self.evaluation_batches(config, data, device) for data in (splits.validation, splits.test))
        fitted = trainer.validate(validation, metrics=CollectedLogits(), supervision=judge)
        metrics = CalibratedMetrics(config.model.class_names, temperature=fitted["temperature"])
        return trainer.validate(test, metrics=metrics, supervision=judge)


def _check_classes(config: LeafConfig, data: LabelledImages) -> None:
    if data.class_names != config.model.class_names:
        raise ValueError(
            f"The classes of {config.data.source} are {', '.join(data.class_names)}, but this configuration was found "
            f"on {', '.join(config.model.class_names)}; search that data anew, or rename its folders."
        )
