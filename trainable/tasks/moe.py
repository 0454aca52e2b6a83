"""Camouflaged objects, segmented by a network with a mixture of experts."""

from dataclasses import dataclass, field, replace
from math import ceil, prod
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from trainable.config import TrialConfig
from trainable.configuration.share_of_epochs import share_of_epochs
from trainable.data.annotations.outlined_pairs import outlined_pairs
from trainable.data.generated.camouflage_scenes import SceneConfig, fresh_scenes, scene_splits
from trainable.data.image_mask.batches import CropConfig, EvaluationBatches, TrainingBatches
from trainable.data.image_mask.folder import open_image_masks
from trainable.data.image_mask.folder_source import FolderOptions
from trainable.data.image_mask.image_mask_set import ImageMaskSet
from trainable.data.io.image_cache import default_cache_dir
from trainable.data.io.splits import FRACTIONS, Splits, check_drawn
from trainable.losses.segmentation import bce_loss
from trainable.losses.segmentation_config import SegmentationLossConfig
from trainable.metrics.camouflage import METRIC_NAMES, CamouflageMetrics
from trainable.models.camouflage_net import CamouflageNet, CamouflageNetConfig
from trainable.models.moe import MixtureOfExperts
from trainable.models.user_network import build_user_network
from trainable.prediction.mask import MaskPredictor
from trainable.supervision.base import DeepSupervision
from trainable.supervision.pixel_probe import PixelProbe
from trainable.supervision.trivial import TrivialFloor, TrivialPredictor, constant_masks, object_sizes
from trainable.tasks.data_notes import of_folders_alone, with_findings
from trainable.tasks.mask_views import check_views
from trainable.tasks.presets.moe import PRESETS
from trainable.tasks.task import Progress, Task
from trainable.techniques.augment.progressive_augmentation import AugmentationConfig
from trainable.techniques.contrastive_term import ContrastiveConfig, ContrastiveTerm
from trainable.techniques.experts.collapse_response import CollapseResponse, ResponseConfig
from trainable.techniques.experts.expert_collapse import CollapseConfig, ExpertCollapseDetector
from trainable.techniques.experts.lasting_collapse import LastingCollapse
from trainable.techniques.experts.load_balance import GlobalBatchLoadBalancer, LoadBalanceConfig
from trainable.techniques.parallel.random_streams import stream_seed
from trainable.techniques.techniques import Techniques
from trainable.techniques.test_time_augmentation import MaskViewsConfig

EMBEDDED = "scenes"
SMALL_OBJECT_SHARE = 0.05
"""Crops are trained on where the median object covers less of the image than this."""
EVALUATED_PIXELS = 2**19
"""Pixels of an evaluation batch on a CPU, the fastest size whatever the training batch: smaller batches wait for each
layer's start, in larger ones each layer waits for the memory."""
CHECKED_SIDE_PX = 64
"""Side of the images that a user's network is tried on before data is opened."""
COLLAPSE_PATIENCE = 0.75
"""Nine of twelve epochs: every step of the response was taken by then and had an epoch to help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CamouflageData:
    """Source and size of the images and masks."""

    source: str = EMBEDDED
    """"scenes" for the embedded generator, or a folder of images and masks."""
    image_height_px: int | None = None
    """Height that images are resized to; None keeps the shape and takes `long_side_px`."""
    image_width_px: int | None = None
    long_side_px: int = 240
    """Longer side of the resized images when no size is given."""
    inverted_masks: bool | None = None
    """True: 255 is the background. False: it is not. None: an error when it looks so."""
    foreground_values: tuple[str, ...] | None = None
    """Grey levels ("255") and colours ("255/0/0") of a folder's masks, or labels of its outlines, that are the object;
    None: what is above 127, or inside any outline."""
    group_pattern: str | None = None
    """Regular expression whose match in the name keeps files of one origin in one split; None: each its own."""
    split_seed: int = 0
    """Seed of the division of a folder into train, validation and test, 0 or more; try another to confirm a result."""
    split_fractions: tuple[float, float, float] | None = None
    """Shares of train, validation and test where a folder names no splits; None: 0.6, 0.2, 0.2."""
    scenes: SceneConfig = field(default_factory=SceneConfig)
    """The embedded generator's settings."""

    def __post_init__(self) -> None:
        if (self.image_height_px is None) != (self.image_width_px is None):
            raise ValueError("Give both image_height_px and image_width_px, or neither.")
        if self.source == EMBEDDED:
            check_drawn("scenes", split_seed=self.split_seed, split_fractions=self.split_fractions)
            if self.foreground_values:
                raise ValueError(
                    "foreground_values are of a folder's masks; the embedded scenes have none: give --data."
                )
        # The embedded scenes have a size of their own, which a note tells, but a wrong value is wrong there, too.
        _ = self.folder_options

    @property
    def folder_options(self) -> FolderOptions:
        height, width = self.image_height_px, self.image_width_px
        return FolderOptions(
            image_size=None if height is None or width is None else (height, width),
            long_side_px=self.long_side_px,
            inverted_masks=self.inverted_masks,
            foreground_values=self.foreground_values or (),
            group_pattern=self.group_pattern,
            split_seed=self.split_seed,
            fractions=self.split_fractions or FRACTIONS,
        )


def open_camouflage(data: CamouflageData, cache_dir: Path | None, on_progress: Progress | None) -> Splits:
    """The three splits; logs what was found in a folder, or what the embedded scenes do not take."""
    cache_dir = cache_dir or default_cache_dir()
    if data.source == EMBEDDED:
        sizes = ("image_height_px", "image_width_px", "long_side_px")
        unused = of_folders_alone(data, (*sizes, "inverted_masks", "group_pattern"), drawn="scenes")
        return with_findings(scene_splits(data.scenes, cache_dir, on_progress), unused)
    root, options = Path(data.source), data.folder_options
    return with_findings(
        open_image_masks(root, options, cache_dir=cache_dir, on_progress=on_progress, outlined=outlined_pairs)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MoeConfig(TrialConfig):
    """A training of the camouflage network."""

    memory_fields: ClassVar[tuple[str, ...]] = (*TrialConfig.memory_fields, "crop", "contrastive")

    crop: CropConfig | None = None
    load_balance: LoadBalanceConfig | None = None
    collapse: CollapseConfig | None = None
    """Limits of the watch over experts, and what is done about a collapse; None: watched with the default limits,
    never acted on."""
    response: ResponseConfig = field(default_factory=ResponseConfig)
    """Patience and strength of `collapse_response`."""
    augmentation: AugmentationConfig | None = None
    contrastive: ContrastiveConfig | None = None
    test_time_augmentation: MaskViewsConfig | None = None
    """Averages several views of each image of the final test and of a prediction, never of an epoch's validation."""
    trained_size_px: tuple[int, int] | None = None
    """Height and width that images were resized to; set from the opened data, for pictures that are predicted later."""


class MoeTask(Task[MoeConfig]):
    """The camouflage workload; S-measure on the validation split is its objective."""

    name = "moe"
    objective = "val/s_measure"
    mode = "max"
    metric_names = tuple(f"val/{name}" for name in METRIC_NAMES)
    presets = PRESETS

    def default_config(self, source: str | None = None) -> MoeConfig:
        return MoeConfig(
            workload=self.name,
            max_epochs=12,
            batch_size=8,
            accumulation_steps=2,
            data=CamouflageData(source=source or EMBEDDED),
            model=CamouflageNetConfig(),
            loss=SegmentationLossConfig(),
            load_balance=LoadBalanceConfig(),
            collapse=CollapseConfig(collapse_response="rebalance", collapse_patience_fraction=COLLAPSE_PATIENCE),
            augmentation=AugmentationConfig(initial_strength=0.3, max_strength=0.3),
        )

    def open_data(
        self, config: MoeConfig, *, cache_dir: Path | None = None, on_progress: Progress | None = None
    ) -> Splits:
        return open_camouflage(config.data, cache_dir, on_progress)

    def fresh_test_set(self, config: MoeConfig, count: int) -> ImageMaskSet:
        if config.data.source != EMBEDDED:
            return super().fresh_test_set(config, count)
        return fresh_scenes(config.data.scenes, seed=0, count=count)

    def adapt_to_data(self, config: MoeConfig, splits: Splits) -> MoeConfig:
        """The size of the images; thin and small objects are trained on crops around them."""
        config = replace(config, trained_size_px=splits.train.images.shape[1:3])
        shares = splits.train.masks.mean(axis=(1, 2))
        is_embedded = config.data.source == EMBEDDED
        if is_embedded or config.crop is not None or np.median(shares) >= SMALL_OBJECT_SHARE:
            return config
        crop_px = min(CropConfig().crop_px, *splits.train.masks.shape[1:])
        return replace(config, crop=CropConfig(crop_px=crop_px))

    def build_model(self, config: MoeConfig) -> nn.Module:
        network: nn.Module
        if config.model.network is None:
            network = CamouflageNet(config.model)
        else:
            size_px = config.trained_size_px or (CHECKED_SIDE_PX, CHECKED_SIDE_PX)
            network = build_user_network(config.model, num_outputs=1, is_mask=True, size_px=size_px)
        if config.test_time_augmentation is not None and config.trained_size_px is not None:
            check_views(config.test_time_augmentation, config.trained_size_px, config.model, network)
        return network.to(memory_format=torch.channels_last)

    def build_supervision(self, config: MoeConfig) -> DeepSupervision:
        return DeepSupervision(config.loss.build(), aux_weight=config.loss.aux_weight, fixed_loss=bce_loss)

    def build_techniques(self, config: MoeConfig, model: nn.Module, optimizer: torch.optim.Optimizer) -> Techniques:
        augmentation, contrastive, balancer = None, None, None
        if config.augmentation is not None:
            augmentation = config.augmentation.build(config.max_epochs, stream_seed(config.seed, "augmentation"))
        if config.contrastive is not None:
            contrastive = ContrastiveTerm(config.contrastive, seed=stream_seed(config.seed, "contrastive"))
        if config.load_balance is not None and config.model.network is None:
            balancer = GlobalBatchLoadBalancer.from_config(config.model.num_routed_experts, config.load_balance)
        techniques = Techniques(augmentation=augmentation, contrastive=contrastive, load_balancer=balancer)
        if config.model.num_routed_experts == 1:
            return techniques
        return _with_watched_experts(techniques, config, model, optimizer)

    def build_lasting_collapse(self, config: MoeConfig) -> LastingCollapse | None:
        watched, top_k = config.collapse or CollapseConfig(), config.model.top_k
        if watched.collapse_patience_fraction is None or config.model.num_routed_experts == 1:
            return None
        least_epochs = 1 if watched.collapse_response == "none" else config.response.ladder_checks
        share_epochs = ceil(share_of_epochs(watched.collapse_patience_fraction, config.max_epochs))
        # A training that is shorter than the least patience never ends by it.
        return LastingCollapse(max(least_epochs, share_epochs), top_k)

    def predictor(self, config: MoeConfig) -> MaskPredictor:
        if config.trained_size_px is None:
            raise ValueError("trained_size_px is null; give the config.json that a search or a training wrote.")
        return MaskPredictor(trained_size_px=config.trained_size_px, average_views=self.view_averaging(config))

    def build_metrics(self, config: MoeConfig, *, final: bool) -> CamouflageMetrics:
        return CamouflageMetrics(weighted_f=final)

    def trivial_predictors(self, config: MoeConfig, data: ImageMaskSet) -> tuple[TrivialPredictor, ...]:
        return constant_masks(data.masks)

    def trivial_floor(self, config: MoeConfig, splits: Splits, split: str) -> TrivialFloor | None:
        floor = super().trivial_floor(config, splits, split)
        facts = object_sizes(splits.train.masks, splits.train.native_table)
        return None if floor is None else floor._replace(facts=facts)

    def class_counts(self, config: MoeConfig, data: ImageMaskSet) -> dict[str, int]:
        num_empty = sum(not mask.any() for mask in data.masks)
        return {"with an object": len(data) - num_empty, "without an object": num_empty}

    def no_linear_probe(self, config: MoeConfig) -> str | None:
        return "the network is your own, and which maps are its features is not known" if config.model.network else None

    def linear_probe(self, config: MoeConfig, model: nn.Module) -> PixelProbe:
        return PixelProbe.of(model)

    def training_batches(self, config: MoeConfig, data: ImageMaskSet, device: torch.device) -> TrainingBatches:
        return TrainingBatches(data, batch_size=config.batch_size, seed=config.seed, device=device, crop=config.crop)

    def evaluation_batches(self, config: MoeConfig, data: ImageMaskSet, device: torch.device) -> EvaluationBatches:
        batch_size = config.batch_size
        if device.type == "cpu":
            batch_size = ceil(EVALUATED_PIXELS / prod(data.images.shape[1:3]))
        return EvaluationBatches(data, batch_size=batch_size, device=device)


def _with_watched_experts(
    techniques: Techniques, config: MoeConfig, model: nn.Module, optimizer: torch.optim.Optimizer
) -> Techniques:
    """Adds a collapse detector, which also counts usage, to any network with experts, and the configured response."""
    watched, top_k = config.collapse or CollapseConfig(), config.model.top_k
    response = None
    if watched.collapse_response != "none":
        response = CollapseResponse(
            watched.collapse_response,
            balancer=techniques.load_balancer,
            layers=[module for module in model.modules() if isinstance(module, MixtureOfExperts)],
            optimizer=optimizer,
            generator=torch.Generator().manual_seed(stream_seed(config.seed, "collapse")),
            config=config.response,
        )
    return replace(
        techniques,
        collapse_detector=ExpertCollapseDetector.from_config(config.model.num_routed_experts, watched, top_k=top_k),
        collapse_response=response,
        z_loss_weight=config.loss.z_loss_weight,
    )
