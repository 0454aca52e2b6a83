"""An encoder of leaves, pre-trained without labels: two views of one leaf should be alike, of two leaves not.

Only the probes use labels, and only those of the training split.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from trainable.data.classes.folder import RESIZES
from trainable.data.classes.labelled_images import LabelledImages
from trainable.data.classes.probe_set import ProbeBatches, ProbeSet
from trainable.data.generated.leaf_pictures import CONDITIONS
from trainable.data.io.splits import Splits
from trainable.losses.contrastive import NtXentConfig
from trainable.metrics.probes import METRIC_NAMES, ProbeMetrics
from trainable.models.leaf_nets import Projector, ProjectorConfig
from trainable.prediction.embedding import EmbeddingPredictor
from trainable.supervision.contrastive import ContrastiveSupervision
from trainable.supervision.linear_probe import FeatureProbe, features_of
from trainable.supervision.trivial import TrivialPredictor, feature_predictors
from trainable.tasks.leaf_data import EMBEDDED, LeafData, labelled_part, open_leaves
from trainable.tasks.presets.leaf import PRETRAIN_PRESETS
from trainable.tasks.pretraining import PretrainingConfig, PretrainingTask, fitting_batch_size
from trainable.tasks.task import Progress
from trainable.techniques.augment.two_views import TwoViewsConfig
from trainable.techniques.optim.optimizer import OptimizerConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafPretrainConfig(PretrainingConfig):
    """A pre-training of the leaf encoder."""

    num_classes: int = len(CONDITIONS)
    """Classes that the probes tell apart; set from the opened data."""

    def __post_init__(self) -> None:
        PretrainingConfig.__post_init__(self)
        if self.num_classes < 1:
            raise ValueError(f"num_classes is {self.num_classes}; it must be 1 or more.")


class LeafPretrainTask(PretrainingTask[LeafPretrainConfig]):
    """The pre-training workload; its objective is the k-NN probe's accuracy on the validation split."""

    name = "leaf_pretrain"
    presets = PRETRAIN_PRESETS
    objective = "val/knn_accuracy"
    not_exchangeable = (
        "it is an encoder without predictions. Start a search of leaf from it with --init, and export that one."
    )
    metric_names = tuple(f"val/{name}" for name in METRIC_NAMES)

    def default_config(self, source: str | None = None) -> LeafPretrainConfig:
        return LeafPretrainConfig(
            workload=self.name,
            max_epochs=12,
            batch_size=32,
            data=LeafData(source=source or EMBEDDED),
            model=ProjectorConfig(),
            loss=NtXentConfig(temperature=0.2),
            optimizer=OptimizerConfig(max_lr=2e-3, weight_decay=1e-4),
            # Of a leaf in 48 px the published crops leave too little to recognise.
            views=TwoViewsConfig(smallest_crop_area=0.4, colour_strength=0.5),
        )

    def open_data(
        self, config: LeafPretrainConfig, *, cache_dir: Path | None = None, on_progress: Progress | None = None
    ) -> Splits:
        """The training split has every image; the probes of the other two know only the labelled ones."""
        splits = open_leaves(config.data, cache_dir, on_progress)
        bank = labelled_part(splits.train, config.data.labels_per_class)
        validation, test = (ProbeSet(bank=bank, queries=queries) for queries in (splits.validation, splits.test))
        return replace(splits, validation=validation, test=test)

    def adapt_to_data(self, config: LeafPretrainConfig, splits: Splits) -> LeafPretrainConfig:
        batch_size = fitting_batch_size(config, splits.train)
        return replace(config, num_classes=len(splits.train.class_names), batch_size=batch_size)

    def build_model(self, config: LeafPretrainConfig) -> nn.Module:
        return Projector(config.model)

    def build_supervision(self, config: LeafPretrainConfig) -> ContrastiveSupervision:
        return ContrastiveSupervision(temperature=config.loss.temperature)

    def predictor(self, config: LeafPretrainConfig) -> EmbeddingPredictor:
        data = config.data
        prepare = partial(RESIZES[data.resize], size=(data.side_px, data.side_px))
        return EmbeddingPredictor(prepare=prepare, least_px=data.side_px)

    def build_metrics(self, config: LeafPretrainConfig, *, final: bool) -> ProbeMetrics:
        return ProbeMetrics(num_classes=config.num_classes)

    def trivial_predictors(self, config: LeafPretrainConfig, data: LabelledImages) -> tuple[TrivialPredictor, ...]:
        return feature_predictors(lambda targets: (len(targets["label"]),))

    def class_counts(self, config: LeafPretrainConfig, data: LabelledImages | ProbeSet) -> dict[str, int]:
        return (data.queries if isinstance(data, ProbeSet) else data).counts_by_name()

    def linear_probe(self, config: LeafPretrainConfig, model: nn.Module) -> FeatureProbe:
        return FeatureProbe(features_of(model))

    def evaluation_batches(self, config: LeafPretrainConfig, data: ProbeSet, device: torch.device) -> ProbeBatches:
        return ProbeBatches(data, batch_size=config.batch_size, device=device)
