"""A task as a workload: its loop is the trainer's."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from trainable.build_trainer import build_network, build_trainer
from trainable.config import TrialConfig
from trainable.data.io.findings import kinds_of
from trainable.data.io.splits import SPLIT_NAMES
from trainable.remote.local_source import local_source
from trainable.supervision.trivial import TrivialFloor
from trainable.tasks.presets.preset import Preset
from trainable.tasks.registry import default_config
from trainable.tasks.task import Task
from trainable.techniques.memory import MicroBatchCaps
from trainable.techniques.optim.optimizer import WithoutAlgorithm
from trainable.techniques.parallel.data_parallel import Ranks
from trainable.training_run import TrainingRun
from trainable.workloads.limits import measure
from trainable.workloads.workload import DEFAULT, DataFacts, Progress, Workload


class TaskWorkload(Workload[TrialConfig]):
    """Trains a task's configurations with a `TrainingRun`."""

    can_use_ranks = True

    def __init__(self, task: Task[Any], *, name: str) -> None:
        """`name` is that of the task, or the reference by which it was found."""
        self._task, self.name, self.objective, self.mode = task, name, task.objective, task.mode
        self.presets = {DEFAULT: Preset(params={}), **task.presets}

    def default_config(self, source: str | None = None) -> TrialConfig:
        return default_config(self.name, source)

    def open_data(
        self, config: TrialConfig, *, cache_dir: Path | None = None, on_progress: Progress | None = None
    ) -> Any:
        data = replace(config.data, source=local_source(config.data.source, cache_dir))
        return self._task.open_data(replace(config, data=data), cache_dir=cache_dir, on_progress=on_progress)

    def adapt_to_data(self, config: TrialConfig, data: Any) -> TrialConfig:
        return self._task.adapt_to_data(config, data)

    def facts(self, config: TrialConfig, data: Any) -> DataFacts:
        height, width = data.train.images.shape[1:3]
        counts = {name: self._task.class_counts(config, getattr(data, name)) for name in SPLIT_NAMES}
        return DataFacts(
            images={name: len(getattr(data, name)) for name in SPLIT_NAMES},
            image_size_px=(int(height), int(width)),
            pretrained=config.has_trained_weights,
            own_weights=config.init_weights is not None,
            own_network=getattr(config.model, "network", None) is not None,
            batch_size=config.batch_size,
            num_tasks=config.num_tasks,
            class_counts={name: own for name, own in counts.items() if own},
            # The splits of a task of the user's own may be another class.
            findings=kinds_of(getattr(data, "findings", ())),
        )

    def trivial_floor(self, config: TrialConfig, data: Any, split: str) -> TrivialFloor | None:
        return self._task.trivial_floor(config, data, split)

    def no_linear_probe(self, config: TrialConfig) -> str | None:
        if not config.has_trained_weights:
            return "the network starts from scratch; give trained weights by --init or --set weights=..."
        return self._task.no_linear_probe(config)

    def linear_probe(self, config: TrialConfig, data: Any, split: str) -> dict[str, float]:
        as_it_is = replace(config, compile_backend=None, gradient_checkpointing=False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            model = build_network(self._task, as_it_is).eval().requires_grad_(False)
        return self._task.probe_metrics(config, data, split, self._task.linear_probe(config, model))

    def check(self, config: TrialConfig) -> None:
        device = torch.device("cpu")
        build_trainer(self._task, config, updates_per_epoch=1, device=device, algorithm=WithoutAlgorithm)

    def measure(
        self, config: TrialConfig, data: Any, device: torch.device, quantities: Iterable[str]
    ) -> dict[str, float]:
        return measure(config, data, device, quantities)

    def begin(
        self,
        config: TrialConfig,
        data: Any,
        *,
        device: torch.device | str,
        ranks: Ranks | None = None,
        caps: MicroBatchCaps | None = None,
    ) -> TrainingRun:
        return TrainingRun(config, data, device=device, ranks=ranks, caps=caps)
