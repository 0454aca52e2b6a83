"""Diseases of leaves, told apart by a hierarchical vision transformer, from scratch or from a pre-trained encoder."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from trainable.data.generated.leaf_pictures import CONDITIONS, LeafPictureConfig
from trainable.data.io.splits import Splits
from trainable.losses.classification import ClassificationLossConfig
from trainable.metrics.calibration import CalibratedMetrics, CollectedLogits
from trainable.models.leaf_nets import LeafClassifier, LeafClassifierConfig
from trainable.tasks.classification import ClassificationConfig, ClassificationTask, user_classifier
from trainable.tasks.leaf_data import EMBEDDED, LeafData, labelled_part, open_leaves
from trainable.tasks.presets.leaf import PRESETS
from trainable.tasks.task import Progress
from trainable.techniques.augment.image_augmentation import ImageAugmentationConfig
from trainable.techniques.augment.label_mixing import MixingConfig
from trainable.techniques.optim.optimizer import OptimizerConfig
from trainable.techniques.optim.schedule_config import ScheduleConfig
from trainable.techniques.test_time_augmentation import ClassViewsConfig
from trainable.trainer import Trainer


class LeafTask(ClassificationTask[ClassificationConfig]):
    """The leaf workload."""

    name = "leaf"
    presets = PRESETS

    def default_config(self, source: str | None = None) -> ClassificationConfig:
        num_of_each = LeafPictureConfig().num_train // len(CONDITIONS)
        loss = ClassificationLossConfig(focal_gamma=2.0, focal_share=0.5, label_smoothing=0.1)
        return ClassificationConfig(
            workload=self.name,
            max_epochs=24,
            batch_size=16,
            data=LeafData(source=source or EMBEDDED),
            model=LeafClassifierConfig(class_names=CONDITIONS, drop_path=0.1),
            loss=replace(loss, class_counts=(num_of_each,) * len(CONDITIONS)),
            optimizer=OptimizerConfig(max_lr=1e-3),
            schedule=ScheduleConfig(warmup_fraction=0.05),
            mixing=MixingConfig(),
            augmentation=ImageAugmentationConfig(severity="moderate"),
            test_time_augmentation=ClassViewsConfig(),
        )

    def open_data(
        self, config: ClassificationConfig, *, cache_dir: Path | None = None, on_progress: Progress | None = None
    ) -> Splits:
        splits = open_leaves(config.data, cache_dir, on_progress)
        return replace(splits, train=labelled_part(splits.train, config.data.labels_per_class))

    def build_model(self, config: ClassificationConfig) -> nn.Module:
        return LeafClassifier(config.model) if config.model.network is None else user_classifier(config)

    def test(
        self,
        trainer: Trainer,
        config: ClassificationConfig,
        splits: Splits,
        device: torch.device,
        *,
        weights: Mapping[str, Tensor],
    ) -> dict[str, float]:
        """Averages several views where that is on, and adds the calibration error before and after a temperature.

        The temperature is fitted on the validation split, under the same views.
        """
        supervision = self.test_supervision(trainer.supervision, config)
        validation, test = (self.evaluation_batches(config, data, device) for data in (splits.validation, splits.test))
        evaluated = partial(trainer.evaluate, supervision=supervision, weights=weights)
        temperature = evaluated(validation, metrics=CollectedLogits()).metrics["temperature"]
        return evaluated(test, metrics=CalibratedMetrics(config.model.class_names, temperature=temperature)).flat
