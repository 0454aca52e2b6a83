"""Camouflaged objects, segmented by a network with a mixture of experts."""

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from trainable.config import TrialConfig
from trainable.data.batches import CropConfig, EvaluationBatches, TrainingBatches
from trainable.data.camouflage_scenes import SceneConfig, scene_splits
from trainable.data.findings import format_table
from trainable.data.image_cache import default_cache_dir
from trainable.data.image_mask_folder import open_image_masks
from trainable.data.image_mask_set import ImageMaskSet, Splits
from trainable.losses.segmentation import Criterion, SegmentationLossConfig
from trainable.metrics.camouflage import METRIC_NAMES, CamouflageMetrics
from trainable.models.camouflage_net import CamouflageNet, CamouflageNetConfig
from trainable.tasks.task import Progress, Task
from trainable.techniques.expert_collapse import CollapseConfig
from trainable.techniques.load_balance import LoadBalanceConfig
from trainable.techniques.progressive_augmentation import AugmentationConfig

logger = logging.getLogger(__name__)

EMBEDDED = "scenes"
SMALL_OBJECT_SHARE = 0.05
"""Objects that cover less of the image than this, in the median, are trained on crops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CamouflageData:
    """What to segment."""

    source: str = EMBEDDED
    """"scenes" for the embedded generator, or a folder of images and masks."""
    image_height_px: int | None = None
    """Height that images are resized to; None keeps the shape and takes `long_side_px`."""
    image_width_px: int | None = None
    long_side_px: int = 240
    """Longer side that images are resized to when no size is given."""
    inverted_masks: bool | None = None
    """True when 255 is the background, False when it surely is not; None stops when it looks so."""
    group_pattern: str | None = None
    """Regular expression whose match in the name keeps files of one origin in one split; None: each its own."""
    scenes: SceneConfig = field(default_factory=SceneConfig)
    """The embedded generator's settings."""

    def __post_init__(self) -> None:
        if (self.image_height_px is None) != (self.image_width_px is None):
            raise ValueError("Give both image_height_px and image_width_px, or neither.")

    @property
    def image_size(self) -> tuple[int, int] | None:
        return None if self.image_height_px is None else (self.image_height_px, self.image_width_px)


class MoeTask(Task):
    """The camouflage workload; S-measure on the validation split is its objective."""

    name = "moe"
    objective = "val/s_measure"
    mode = "max"
    worst_objective = 0.0
    metric_names = tuple(f"val/{name}" for name in METRIC_NAMES)

    def default_config(self, source: str | None = None) -> TrialConfig:
        return TrialConfig(
            workload=self.name,
            max_epochs=12,
            batch_size=8,
            accumulation_steps=2,
            data=CamouflageData(source=source or EMBEDDED),
            model=CamouflageNetConfig(),
            loss=SegmentationLossConfig(),
            load_balance=LoadBalanceConfig(),
            collapse=CollapseConfig(),
            augmentation=AugmentationConfig(),
        )

    def open_data(
        self, config: TrialConfig, *, cache_dir: Path | None = None, on_progress: Progress | None = None
    ) -> Splits:
        data, cache_dir = config.data, cache_dir or default_cache_dir()
        if data.source == EMBEDDED:
            return scene_splits(data.scenes, cache_dir, on_progress)
        folder = open_image_masks(
            Path(data.source),
            image_size=data.image_size,
            long_side_px=data.long_side_px,
            cache_dir=cache_dir,
            inverted_masks=data.inverted_masks,
            group_pattern=data.group_pattern,
            on_progress=on_progress,
        )
        if folder.findings:
            logger.info("%s", format_table(folder.findings))
        return folder.splits

    def suited_config(self, config: TrialConfig, splits: Splits) -> TrialConfig:
        """Thin and small objects are trained on crops around them."""
        shares = splits.train.masks.mean(axis=(1, 2))
        is_embedded = config.data.source == EMBEDDED
        if is_embedded or config.crop is not None or np.median(shares) >= SMALL_OBJECT_SHARE:
            return config
        crop_px = min(CropConfig().crop_px, *splits.train.masks.shape[1:])
        return replace(config, crop=CropConfig(crop_px=crop_px))

    def build_model(self, config: TrialConfig) -> nn.Module:
        return CamouflageNet(config.model).to(memory_format=torch.channels_last)

    def build_criterion(self, config: TrialConfig) -> Criterion:
        return config.loss.build()

    def build_metrics(self, *, final: bool) -> CamouflageMetrics:
        return CamouflageMetrics(weighted_f=final)

    def training_batches(self, config: TrialConfig, data: ImageMaskSet, device: torch.device) -> TrainingBatches:
        return TrainingBatches(data, batch_size=config.batch_size, seed=config.seed, device=device, crop=config.crop)

    def evaluation_batches(self, config: TrialConfig, data: ImageMaskSet, device: torch.device) -> EvaluationBatches:
        return EvaluationBatches(data, batch_size=config.batch_size, device=device)
