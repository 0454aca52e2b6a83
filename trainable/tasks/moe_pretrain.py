"""The backbone of `moe`, pre-trained without masks: two views of one picture should be alike, of two pictures not.

    python -m trainable.preset moe_pretrain default runs/pretrain/config.json --data path/to/images-and-masks
    python -m trainable.train --config runs/pretrain/config.json --output runs/pretrain/train

The weights start `moe` by `--init runs/pretrain/train`. Masks are checked when the folder is opened, and not used.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from trainable.data.classes.batches import ViewPairBatches
from trainable.data.classes.labelled_images import MISSING, LabelledImages
from trainable.data.io.decoding import shrink_image
from trainable.data.io.splits import Splits
from trainable.losses.contrastive import NtXentConfig
from trainable.metrics.retrieval import METRIC_NAMES, RetrievalMetrics
from trainable.models.contrastive_net import ContrastiveNet, ContrastiveNetConfig
from trainable.prediction.embedding import EmbeddingPredictor
from trainable.supervision.contrastive import PairSupervision
from trainable.supervision.linear_probe import FeatureProbe, features_of
from trainable.supervision.trivial import TrivialPredictor, feature_predictors
from trainable.tasks.moe import EMBEDDED, CamouflageData, open_camouflage
from trainable.tasks.pretraining import PretrainingConfig, PretrainingTask, fitting_batch_size
from trainable.tasks.task import Progress
from trainable.techniques.augment.two_views import TwoViewsConfig
from trainable.techniques.optim.optimizer import OptimizerConfig

VIEWS = TwoViewsConfig(smallest_crop_area=0.4, colour_strength=0.5)
"""The document's changes of brightness and contrast, by up to one half: the views of the default, and those at which
every configuration is judged, so that gentler views in training do not make the task easier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoePretrainConfig(PretrainingConfig):
    """A pre-training of the camouflage network's backbone."""

    trained_size_px: tuple[int, int] | None = None
    """Height and width that images were resized to; set from the opened data, for pictures that are predicted later."""


class MoePretrainTask(PretrainingTask[MoePretrainConfig]):
    """The objective is the mean reciprocal rank of each picture's second view among those of the validation split."""

    name = "moe_pretrain"
    objective = "val/mean_reciprocal_rank"
    metric_names = tuple(f"val/{name}" for name in METRIC_NAMES)

    def default_config(self, source: str | None = None) -> MoePretrainConfig:
        return MoePretrainConfig(
            workload=self.name,
            max_epochs=12,
            batch_size=32,
            data=CamouflageData(source=source or EMBEDDED),
            model=ContrastiveNetConfig(),
            loss=NtXentConfig(temperature=0.1),
            optimizer=OptimizerConfig(max_lr=2e-3, weight_decay=1e-4),
            views=VIEWS,
        )

    def open_data(
        self, config: MoePretrainConfig, *, cache_dir: Path | None = None, on_progress: Progress | None = None
    ) -> Splits:
        splits = open_camouflage(config.data, cache_dir, on_progress)
        train, validation, test = (
            LabelledImages(
                images=data.images, labels=np.full(len(data), MISSING), names=data.names, class_names=("picture",)
            )
            for data in (splits.train, splits.validation, splits.test)
        )
        return replace(splits, train=train, validation=validation, test=test)

    def adapt_to_data(self, config: MoePretrainConfig, splits: Splits) -> MoePretrainConfig:
        batch_size = fitting_batch_size(config, splits.train)
        return replace(config, batch_size=batch_size, trained_size_px=splits.train.images.shape[1:3])

    def build_model(self, config: MoePretrainConfig) -> nn.Module:
        return ContrastiveNet(config.model).to(memory_format=torch.channels_last)

    def build_supervision(self, config: MoePretrainConfig) -> PairSupervision:
        return PairSupervision(temperature=config.loss.temperature)

    def predictor(self, config: MoePretrainConfig) -> EmbeddingPredictor:
        if config.trained_size_px is None:
            raise ValueError("trained_size_px is null; give the config.json that a search or a training wrote.")
        prepare = partial(shrink_image, size=config.trained_size_px)
        return EmbeddingPredictor(prepare=prepare, least_px=max(config.trained_size_px))

    def build_metrics(self, config: MoePretrainConfig, *, final: bool) -> RetrievalMetrics:
        return RetrievalMetrics()

    def trivial_predictors(self, config: MoePretrainConfig, data: LabelledImages) -> tuple[TrivialPredictor, ...]:
        return feature_predictors(lambda views: (len(views), 2))

    def linear_probe(self, config: MoePretrainConfig, model: nn.Module) -> FeatureProbe:
        """Probe of the features of both views of each image, (B, 2, D)."""
        features = features_of(model)
        return FeatureProbe(lambda views: features(views.flatten(0, 1)).unflatten(0, (-1, 2)))

    def evaluation_batches(
        self, config: MoePretrainConfig, data: LabelledImages, device: torch.device
    ) -> ViewPairBatches:
        return ViewPairBatches(data.images, VIEWS, batch_size=config.batch_size, device=device)
