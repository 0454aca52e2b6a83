"""Shared by the workloads that pre-train a network without labels: two views of one picture should be alike."""

from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

import torch
from torch import nn

from trainable.config import TrialConfig
from trainable.data.classes.batches import LabelledTrainingBatches
from trainable.data.classes.labelled_images import LabelledImages
from trainable.tasks.task import Task
from trainable.techniques.augment.two_views import TwoViews, TwoViewsConfig
from trainable.techniques.parallel.random_streams import stream_seed
from trainable.techniques.techniques import Techniques

MIN_BATCH_SIZE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainingConfig(TrialConfig):
    """A training by two views of each picture; `loss` is an NtXentConfig."""

    min_batch_size: ClassVar[int] = MIN_BATCH_SIZE

    views: TwoViewsConfig = field(default_factory=TwoViewsConfig)
    """Strength of the difference between the two views of a training image."""

    def __post_init__(self) -> None:
        TrialConfig.__post_init__(self)
        if self.batch_size < MIN_BATCH_SIZE:
            raise ValueError(
                f"batch_size is {self.batch_size}; a view is compared with those of other images of its micro-batch, "
                f"so give {MIN_BATCH_SIZE} or more, 32 is usual."
            )


Config = TypeVar("Config", bound=PretrainingConfig)


class PretrainingTask(Task[Config]):
    """The objective says how well features tell pictures apart, on the validation split."""

    mode = "max"
    is_pretraining = True

    def build_techniques(self, config: Config, model: nn.Module, optimizer: torch.optim.Optimizer) -> Techniques:
        generator = torch.Generator().manual_seed(stream_seed(config.seed, "views"))
        return Techniques(augmentation=TwoViews(config.views, generator=generator))

    def training_batches(self, config: Config, data: LabelledImages, device: torch.device) -> LabelledTrainingBatches:
        """Drops the last short batch: among fewer images a partner is easier to find."""
        whole_batches = max(1, len(data) // config.batch_size)
        return LabelledTrainingBatches(
            data, batch_size=config.batch_size, seed=config.seed, device=device, max_batches=whole_batches
        )


def fitting_batch_size(config: PretrainingConfig, train: LabelledImages) -> int:
    """Micro-batches are no larger than the training split."""
    return max(MIN_BATCH_SIZE, min(config.batch_size, len(train)))
