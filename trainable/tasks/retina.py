"""Two grades of one fundus photograph: diabetic retinopathy and the risk of a macular edema; or one of them alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from trainable.config import TrialConfig
from trainable.data.classes.batches import LabelledEvaluationBatches, LabelledTrainingBatches
from trainable.data.classes.labelled_images import LabelledImages
from trainable.data.fundus.crop import RETINA_SHARE, crop_to_retina
from trainable.data.fundus.folder import open_fundus_folder
from trainable.data.fundus.grades import CLASS_NAMES, TASK_NAMES, GradedSplits
from trainable.data.fundus.source import FundusFolderOptions
from trainable.data.generated.fundus_images import FundusConfig, fundus_splits, grade_counts
from trainable.data.io.decoding import shrink_image
from trainable.data.io.image_cache import default_cache_dir
from trainable.data.io.splits import FRACTIONS, check_drawn
from trainable.losses.loss_weighting import CLASSIFICATION, LossWeightingConfig
from trainable.metrics.grading import GradingMetrics, metric_names
from trainable.models.classifier import Classifier, ClassifierConfig
from trainable.prediction.base import Prepare
from trainable.prediction.classes import GradesPredictor
from trainable.supervision.head_start import RANDOM, check_head_start
from trainable.supervision.linear_probe import LabelProbe, features_of
from trainable.supervision.multi_task import MultiTaskLossConfig, MultiTaskSupervision
from trainable.supervision.trivial import TrivialPredictor, grade_predictors
from trainable.tasks.classification import started_at_probe, user_classifier
from trainable.tasks.data_notes import of_folders_alone, with_findings
from trainable.tasks.presets.retina import PRESETS
from trainable.tasks.task import Progress, Task
from trainable.techniques.augment.image_augmentation import ImageAugmentationConfig
from trainable.techniques.parallel.random_streams import stream_seed
from trainable.techniques.techniques import Techniques
from trainable.techniques.test_time_augmentation import ClassViewsConfig, ViewAveraging, single_view

EMBEDDED = "fundus"
CLASSES = dict(zip(TASK_NAMES, CLASS_NAMES, strict=True))
"""Names of the classes of each task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FundusData:
    """Source and size of the fundus photographs."""

    source: str = EMBEDDED
    """"fundus" for the embedded generator, or a folder of photographs and tables of their grades."""
    image_size_px: int = 512
    """Side that photographs of a folder are cropped and resized to, from 32."""
    group_pattern: str | None = None
    """Regular expression that finds the patient in a file's name; None: the table's column of patients, else the name
    without `_left`, `_OD` and such."""
    split_seed: int = 0
    """Seed of the division of a folder into training and validation, and test unless the folder names it."""
    split_fractions: tuple[float, float, float] | None = None
    """Shares of train, validation and test where a folder names no splits; None: 0.6, 0.2, 0.2."""
    fundus: FundusConfig = field(default_factory=FundusConfig)
    """The embedded generator's settings."""

    def __post_init__(self) -> None:
        if self.source == EMBEDDED:
            check_drawn("photographs", split_seed=self.split_seed, split_fractions=self.split_fractions)
            if self.group_pattern is not None:
                given = f"group_pattern is {self.group_pattern!r}"
                raise ValueError(f"{given}, but the embedded photographs are drawn, not divided; give --data with it.")

    @property
    def side_px(self) -> int:
        """Side of the square training images."""
        return self.fundus.image_size_px if self.source == EMBEDDED else self.image_size_px


@dataclass(frozen=True, slots=True, kw_only=True)
class RetinaConfig(TrialConfig):
    """A training of the graders on one backbone."""

    memory_fields: ClassVar[tuple[str, ...]] = (*TrialConfig.memory_fields, "loss_weighting")

    tasks: tuple[str, ...] = TASK_NAMES
    """The grades that are learned, of TASK_NAMES; set from the opened data."""
    loss_weighting: LossWeightingConfig = field(default_factory=LossWeightingConfig)
    augmentation: ImageAugmentationConfig | None = None
    test_time_augmentation: ClassViewsConfig | None = None
    """Averages several views of each image of the final test and of a prediction, never of an epoch's validation."""
    head_start: str = RANDOM
    """"random", or "probe": the last layer starts at a linear probe of the trained weights."""

    def __post_init__(self) -> None:
        TrialConfig.__post_init__(self)
        check_head_start(self.head_start, has_user_network=getattr(self.model, "network", None) is not None)
        if self.tasks != tuple(task for task in TASK_NAMES if task in self.tasks) or not self.tasks:
            raise ValueError(f"tasks is {self.tasks}; give one or more of {', '.join(TASK_NAMES)}, in this order.")

    @property
    def num_tasks(self) -> int:
        return len(self.tasks)

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """Names of the classes of each task that is learned."""
        return {task: CLASSES[task] for task in self.tasks}


class RetinaTask(Task[RetinaConfig]):
    """The fundus workload; the mean of the tasks' quadratic-weighted kappa is its objective."""

    name = "retina"
    presets = PRESETS
    objective = "val/mean_kappa"
    mode = "max"
    metric_names = tuple(f"val/{name}" for name in metric_names(CLASSES))

    def default_config(self, source: str | None = None) -> RetinaConfig:
        # Of the embedded training split, before some labels are lost.
        both = grade_counts(FundusConfig().num_train)
        return RetinaConfig(
            workload=self.name,
            max_epochs=12,
            batch_size=16,
            data=FundusData(source=source or EMBEDDED),
            model=ClassifierConfig(class_names=rows_of_the_head(CLASSES)),
            loss=MultiTaskLossConfig(class_counts=(*both.sum(axis=1).tolist(), *both.sum(axis=0).tolist())),
            augmentation=ImageAugmentationConfig(severity="light", initial_strength=0.4, ramp_fraction=0.1),
        )

    def open_data(
        self, config: RetinaConfig, *, cache_dir: Path | None = None, on_progress: Progress | None = None
    ) -> GradedSplits:
        data, cache_dir = config.data, cache_dir or default_cache_dir()
        if data.source == EMBEDDED:
            unused = of_folders_alone(data, ("image_size_px",), drawn="photographs")
            return with_findings(fundus_splits(data.fundus, cache_dir, on_progress), unused)
        options = FundusFolderOptions(
            image_size_px=data.image_size_px,
            group_pattern=data.group_pattern,
            split_seed=data.split_seed,
            fractions=data.split_fractions or FRACTIONS,
        )
        return with_findings(
            open_fundus_folder(Path(data.source), options, cache_dir=cache_dir, on_progress=on_progress)
        )

    def adapt_to_data(self, config: RetinaConfig, splits: GradedSplits) -> RetinaConfig:
        """Sets the tasks, the count of each grade and the share of labelled images from the data."""
        shares = tuple(sum(splits.train.class_counts(task)) / len(splits.train) for task in range(len(splits.tasks)))
        counts = tuple(count for own in splits.class_counts for count in own)
        rows = rows_of_the_head({task: CLASSES[task] for task in splits.tasks})
        return replace(
            config,
            tasks=splits.tasks,
            model=replace(config.model, class_names=rows),
            loss=replace(config.loss, class_counts=counts, labelled_shares=shares),
        )

    def build_model(self, config: RetinaConfig) -> nn.Module:
        network = Classifier(config.model) if config.model.network is None else user_classifier(config)
        return network.to(memory_format=torch.channels_last)

    def build_supervision(self, config: RetinaConfig) -> MultiTaskSupervision:
        num_classes = {task: len(names) for task, names in config.classes.items()}
        weighting = config.loss_weighting.build([CLASSIFICATION] * len(num_classes))
        return MultiTaskSupervision(num_classes, config.loss, weighting)

    def build_techniques(self, config: RetinaConfig, model: nn.Module, optimizer: torch.optim.Optimizer) -> Techniques:
        if config.augmentation is None:
            return Techniques()
        seed = stream_seed(config.seed, "augmentation")
        return Techniques(augmentation=config.augmentation.build(config.max_epochs, seed))

    def view_averaging(self, config: RetinaConfig) -> ViewAveraging:
        if config.test_time_augmentation is None:
            return single_view
        return partial(
            config.test_time_augmentation.average_views, num_classes=[len(names) for names in config.classes.values()]
        )

    def predictor(self, config: RetinaConfig) -> GradesPredictor:
        """Crops photographs as those of a folder; embedded ones fill the picture already."""
        side_px = config.data.side_px
        if config.data.source == EMBEDDED:
            prepare: Prepare = partial(shrink_image, size=(side_px, side_px))
        else:
            prepare = partial(crop_to_retina, size_px=side_px)
        return GradesPredictor(
            class_names=config.classes,
            prepare=prepare,
            least_px=RETINA_SHARE * side_px,
            average_views=self.view_averaging(config),
        )

    def build_metrics(self, config: RetinaConfig, *, final: bool) -> GradingMetrics:
        return GradingMetrics(config.classes)

    def trivial_predictors(self, config: RetinaConfig, data: LabelledImages) -> tuple[TrivialPredictor, ...]:
        return grade_predictors({task: data.class_counts(row) for row, task in enumerate(config.tasks)})

    def class_counts(self, config: RetinaConfig, data: LabelledImages) -> dict[str, int]:
        return {
            f"{task}: {grade}": count
            for row, task in enumerate(config.tasks)
            for grade, count in data.counts_by_name(row).items()
        }

    def start(self, config: RetinaConfig, model: nn.Module, train: LabelledImages) -> bool:
        return started_at_probe(self, config, model, train, [len(names) for names in config.classes.values()])

    def linear_probe(self, config: RetinaConfig, model: nn.Module) -> LabelProbe:
        return LabelProbe(features_of(model), [len(names) for names in config.classes.values()])

    def training_batches(
        self, config: RetinaConfig, data: LabelledImages, device: torch.device
    ) -> LabelledTrainingBatches:
        # Else labels of other tasks than the network's would be an error deep inside the loss.
        if tuple(config.classes.values()) != data.class_names:
            graded = ", ".join(task for task, names in CLASSES.items() if names in data.class_names)
            raise ValueError(
                f"tasks is {', '.join(config.tasks)}, but the data has grades of {graded}; leave tasks out."
            )
        return LabelledTrainingBatches(data, batch_size=config.batch_size, seed=config.seed, device=device)

    def evaluation_batches(
        self, config: RetinaConfig, data: LabelledImages, device: torch.device
    ) -> LabelledEvaluationBatches:
        return LabelledEvaluationBatches(data, batch_size=max(config.batch_size, 32), device=device)


def rows_of_the_head(classes: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Names the rows of the head, one linear layer: those of the first task, then of the second."""
    return tuple(f"{task}_{name}" for task, names in classes.items() for name in names)
