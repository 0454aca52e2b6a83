"""Tree crowns in farmed forests from aerial tiles: instances, semantic classes, crowns and density in one network."""

from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from trainable.config import TrialConfig
from trainable.data.crowns.batches import CrownEvaluationBatches, CrownTrainingBatches, gather_tiles
from trainable.data.crowns.crown_set import VOID, CrownSet
from trainable.data.crowns.folder import CrownFolderOptions, open_crown_folder
from trainable.data.generated.crown_scenes import KIND_NAMES, CrownSceneConfig, crown_scene_splits
from trainable.data.io.counted import counted
from trainable.data.io.image_cache import default_cache_dir
from trainable.data.io.splits import FRACTIONS, SPLIT_NAMES, Splits
from trainable.losses.crowns import CrownLossConfig, CrownTarget
from trainable.metrics.crowns import METRIC_NAMES, CrownMetrics
from trainable.models.crown_net import CrownNet, CrownNetConfig
from trainable.prediction.crowns import CrownsPredictor
from trainable.supervision.crowns import CrownSupervision, crowns_of_others, no_crowns
from trainable.supervision.trivial import TrivialPredictor
from trainable.tasks.data_notes import with_findings
from trainable.tasks.presets.agroforestry import PRESETS
from trainable.tasks.task import Progress, Task
from trainable.techniques.progressive_resolution import ProgressiveResolutionConfig

EMBEDDED = "tiles"
_FRESH_SEEDS = 1_000_003
"""Added to a data set's seed to get that of its fresh tiles."""
_FOLDER_OPTIONS = [option for option in fields(CrownFolderOptions) if option.name not in ("fractions", "keep_alike")]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgroforestryData:
    """Source and size of the tiles."""

    source: str = EMBEDDED
    """"tiles" for the embedded generator, or a folder of images with their annotations."""
    tile_px: int = 256
    """Side of the tiles that a folder's images are cut into, a multiple of 32."""
    overlap_px: int = 64
    """Overlap of neighbouring tiles, less than tile_px."""
    one_kind: bool = False
    """All crowns of a folder count as one kind, whatever their labels."""
    void_label: int = VOID
    """Label of pixels without a class in a folder's label images, 0 to 255."""
    group_pattern: str | None = None
    """Regular expression whose match in the name keeps images of one origin in one split; None: each its own."""
    split_seed: int = 0
    """Seed of the division of a folder into train, validation and test, 0 or more; try another to confirm a result."""
    split_fractions: tuple[float, float, float] | None = None
    """Shares of train, validation and test where a folder names no splits; None: 0.6, 0.2, 0.2."""
    generator: CrownSceneConfig = field(default_factory=CrownSceneConfig)
    """The embedded generator's settings."""

    def __post_init__(self) -> None:
        if self.source == EMBEDDED and self.folder_options != CrownFolderOptions():
            raise ValueError(
                "The embedded tiles are drawn, not cut or divided; give --data with tile_px, overlap_px, one_kind, "
                "void_label, group_pattern, split_seed and split_fractions."
            )

    @property
    def side_px(self) -> int:
        """Side of the training tiles."""
        return self.generator.tile_px if self.source == EMBEDDED else self.tile_px

    @property
    def folder_options(self) -> CrownFolderOptions:
        own = {option.name: getattr(self, option.name) for option in _FOLDER_OPTIONS}
        return CrownFolderOptions(**own, fractions=self.split_fractions or FRACTIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgroforestryConfig(TrialConfig):
    """A training of the crown network."""

    progressive_resolution: ProgressiveResolutionConfig | None = None
    kinds: tuple[str, ...] = ()
    """Names of the crowns' labels 1, 2, ...; set from the opened data, for pictures that are predicted later."""
    channels_last: bool = False
    """Keeps weights and maps with their channels side by side, which tensor cores and CPUs' convolutions prefer."""


class AgroforestryTask(Task[AgroforestryConfig]):
    """The crown workload; its objective is mean average precision at an IoU of 0.5."""

    name = "agroforestry"
    presets = PRESETS
    objective = "val/map_50"
    mode = "max"
    not_exchangeable = (
        "it returns boxes and masks of as many crowns as an image has, which depend on its pixels. Predict with "
        "trainable.predict, or load it in Python as best/README.md says."
    )
    metric_names = tuple(f"val/{name}" for name in METRIC_NAMES)

    def default_config(self, source: str | None = None) -> AgroforestryConfig:
        return AgroforestryConfig(
            workload=self.name,
            max_epochs=8,
            batch_size=8,
            data=AgroforestryData(source=source or EMBEDDED),
            model=CrownNetConfig(),
            kinds=KIND_NAMES,
            loss=CrownLossConfig(),
        )

    def open_data(
        self, config: AgroforestryConfig, *, cache_dir: Path | None = None, on_progress: Progress | None = None
    ) -> Splits:
        data, cache_dir = config.data, cache_dir or default_cache_dir()
        if data.source == EMBEDDED:
            return crown_scene_splits(data.generator, cache_dir, on_progress)
        splits = open_crown_folder(Path(data.source), data.folder_options, cache_dir=cache_dir, on_progress=on_progress)
        splits = with_findings(splits)
        for split in SPLIT_NAMES:
            if getattr(splits, split).num_crowns == 0:
                raise ValueError(
                    f"No crown is annotated in the {split} split of {data.source}, so val/map_50 cannot be measured; "
                    "annotate more images, or divide them otherwise with --set split_seed=1."
                )
        return splits

    def adapt_to_data(self, config: AgroforestryConfig, splits: Splits) -> AgroforestryConfig:
        """Sets the numbers of classes and the names of the kinds of crowns to those of the data."""
        data = splits.train
        classes = {"num_instance_classes": len(data.kinds)}
        if data.semantic_classes:
            classes["num_semantic_classes"] = len(data.semantic_classes)
        return replace(config, model=replace(config.model, **classes), kinds=data.kinds)

    def build_model(self, config: AgroforestryConfig) -> nn.Module:
        order = torch.channels_last if config.channels_last else torch.contiguous_format
        return CrownNet(config.model).to(memory_format=order)

    def build_supervision(self, config: AgroforestryConfig) -> CrownSupervision:
        return CrownSupervision(config.loss)

    def predictor(self, config: AgroforestryConfig) -> CrownsPredictor:
        unnamed = range(len(config.kinds) + 1, config.model.num_instance_classes + 1)
        return CrownsPredictor(
            kinds=(*config.kinds, *(f"kind {label}" for label in unnamed)),
            tile_px=config.data.side_px,
            overlap_px=config.data.overlap_px * config.data.side_px // config.data.tile_px,
            batch_size=config.batch_size,
        )

    def build_metrics(self, config: AgroforestryConfig, *, final: bool) -> CrownMetrics:
        return CrownMetrics(num_kinds=config.model.num_instance_classes, num_classes=config.model.num_semantic_classes)

    def trivial_predictors(self, config: AgroforestryConfig, data: CrownSet) -> tuple[TrivialPredictor, ...]:
        rows, generator = np.flatnonzero(np.diff(data.first_crown)), np.random.default_rng(0)

        def another() -> CrownTarget:
            _, (target,) = gather_tiles(data, generator.choice(rows, 1), orientations=np.zeros(1, np.int64))
            return target

        return no_crowns(data.num_crowns / len(data)), crowns_of_others(another)

    def class_counts(self, config: AgroforestryConfig, data: CrownSet) -> dict[str, int]:
        crowns = np.bincount(data.crowns[data.first_crown[0] : data.first_crown[-1], 0], minlength=len(data.kinds) + 1)
        counts = {f"crowns: {name}": int(count) for name, count in zip(data.kinds, crowns[1:], strict=False)}
        shown = [np.unique(tile) for tile in data.semantic] if data.semantic_classes else []
        return counts | {
            f"tiles with {name}": sum(label in tile for tile in shown)
            for label, name in enumerate(data.semantic_classes)
        }

    def no_linear_probe(self, config: AgroforestryConfig) -> str:
        return "a linear probe proposes no boxes, so it finds no crowns"

    def training_batches(
        self, config: AgroforestryConfig, data: CrownSet, device: torch.device
    ) -> CrownTrainingBatches:
        model = config.model
        for name, found in (("num_instance_classes", data.kinds), ("num_semantic_classes", data.semantic_classes)):
            if len(found) > getattr(model, name):
                raise ValueError(
                    f"{name} is {getattr(model, name)}, but the data has {counted(len(found), 'class', 'classes')} "
                    f"({', '.join(found)}); set {name}={len(found)}."
                )
        staged = config.progressive_resolution
        resolution = None if staged is None else staged.build(config.max_epochs)
        return CrownTrainingBatches(data, batch_size=config.batch_size, seed=config.seed, resolution=resolution)

    def evaluation_batches(
        self, config: AgroforestryConfig, data: CrownSet, device: torch.device
    ) -> CrownEvaluationBatches:
        return CrownEvaluationBatches(data, batch_size=config.batch_size)

    def fresh_test_set(self, config: AgroforestryConfig, count: int) -> CrownSet:
        if config.data.source != EMBEDDED:
            return super().fresh_test_set(config, count)
        drawn = config.data.generator
        other = replace(drawn, seed=drawn.seed + _FRESH_SEEDS, num_train=1, num_validation=1, num_test=count)
        return crown_scene_splits(other, default_cache_dir()).test
