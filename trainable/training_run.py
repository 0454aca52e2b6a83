"""One training run from its configuration: opens the data, builds the trainer, trains epoch after epoch.

The same object trains inside Ray and standalone; that is why the curve is the same.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from trainable.config import TrialConfig
from trainable.tasks.registry import get_task
from trainable.tasks.task import Task
from trainable.techniques.early_stopping import EarlyStopping
from trainable.techniques.memory import (
    FittingBatches,
    MemoryShortage,
    can_be_halved,
    forget_peak,
    halved,
    log_micro_batch_halved,
    packed,
    peak_gib,
    shortages_named,
    size_of,
    unpacked,
)
from trainable.techniques.optim.averaging import WeightAverage
from trainable.techniques.optim.gradient_update import check_finite, updates_of
from trainable.techniques.optim.optimizer import Algorithm, build_optimizer
from trainable.techniques.parallel.data_parallel import Ranks
from trainable.techniques.random_streams import seed_everything
from trainable.trainer import OptimizedTrainer
from trainable.trainer_state import progress_of, restore_progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Why there is no next epoch."""

    outcome: str
    """completed, plateaued or experts_collapsed."""
    numbers: Mapping[str, float | str] = field(default_factory=dict)
    """What it rests on, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochResult:
    """What one epoch gave; every value a finite float."""

    epoch: int
    """Epochs completed, 1 after the first."""
    objective: float
    metrics: dict[str, float]
    """Flat names: train/..., val/..., moe/..., aug_strength."""
    seconds: float
    precision: str
    """The number format in effect, whatever was asked for: fp32, fp16 or bf16."""


class TrainingRun:
    """A run that stands after `epoch` completed epochs.

    Args:
        config: the complete configuration.
        splits: the opened data, as the task's `open_data` gives it.
        device: where to train.
        ranks: this process' place among those that train together; None trains alone.
        fitting: micro-batches that are known to fit from earlier runs of this process.
    """

    def __init__(
        self,
        config: TrialConfig,
        splits: Any,
        *,
        device: torch.device | str = "cpu",
        ranks: Ranks | None = None,
        fitting: FittingBatches | None = None,
    ) -> None:
        self.config = config
        self.device = torch.device(device)
        self.task = get_task(config.workload)
        self.epoch = 0
        self._splits = splits
        self._fitting = FittingBatches() if fitting is None else fitting
        seed_everything(config.seed)
        self._size = (*size_of(config), self.device)
        self._make_batches(*self._fitting.fitted(self._size, config.batch_size, config.accumulation_steps))
        updates_per_epoch = updates_of(self._training, self.accumulation_steps)
        self.trainer = build_trainer(self.task, config, updates_per_epoch=updates_per_epoch, device=self.device)
        self.trainer.accumulation_steps = self.accumulation_steps
        if ranks is not None:
            ranks.take_part(self.trainer, seed=config.seed)

    @property
    def ending(self) -> Ending | None:
        """Why there is no next epoch; None when there is one."""
        stopping, collapse = self.trainer.early_stopping, self.trainer.lasting_collapse
        if self.epoch >= self.config.max_epochs:
            return Ending(outcome="completed")
        if collapse is not None and collapse.has_ended:
            return Ending(outcome="experts_collapsed", numbers=collapse.numbers)
        if stopping is not None and stopping.has_stopped:
            best_epoch = self.epoch - stopping.epochs_without_improvement
            numbers = {
                "patience_epochs": stopping.config.patience_epochs,
                "best": stopping.best,
                "best_epoch": best_epoch,
            }
            return Ending(outcome="plateaued", numbers=numbers)
        return None

    @property
    def is_complete(self) -> bool:
        return self.ending is not None

    def run_epoch(self) -> EpochResult:
        """Trains and validates one epoch; out of memory, it is tried again in smaller micro-batches.

        Raises:
            DivergedError: a loss, the gradient or a validation metric is not finite.
            MemoryShortage: the smallest micro-batch does not fit, or any on one of several ranks.
        """
        began = time.perf_counter()
        metrics = self._epoch_that_fits()
        check_finite(metrics, epoch=self.epoch, step=self.trainer.global_step)
        self.epoch += 1
        objective = metrics[self.task.objective]
        self.trainer.scheduler.observe(objective)
        if self.trainer.early_stopping is not None:
            self.trainer.early_stopping.observe(objective)
        return self._result(metrics, began)

    def revalidate(self) -> EpochResult:
        """The validation of the epoch that stands, without training."""
        began = time.perf_counter()
        return self._result(self._validated(), began)

    def test(self, data: Any = None) -> dict[str, float]:
        """Metrics on the test split, which no search ever opens, or on `data` in its place; without a prefix."""
        splits = self._splits if data is None else replace(self._splits, test=data)
        metrics = self.task.test(self.trainer, self.config, splits, self.device)
        return {name.removeprefix("val_"): value for name, value in metrics.items()}

    def weights(self) -> dict[str, torch.Tensor]:
        """The weights that were evaluated: the averaged ones where averaging is on."""
        return self.trainer.evaluated_weights()

    def save(self, path: Path) -> None:
        """Writes the state after the last completed epoch."""
        self.trainer.save_checkpoint(path, self.epoch)

    def restore(self, path: Path) -> None:
        """Goes on where `save` left off.

        Raises:
            CheckpointError: the file is no checkpoint of this format.
        """
        self.epoch = self.trainer.load_checkpoint(path)

    def _result(self, metrics: dict[str, float], began: float) -> EpochResult:
        return EpochResult(
            epoch=self.epoch,
            objective=metrics[self.task.objective],
            metrics=metrics,
            seconds=time.perf_counter() - began,
            precision=self.trainer.precision_effective,
        )

    def _make_batches(self, batch_size: int, accumulation_steps: int) -> None:
        self.batch_size, self.accumulation_steps = batch_size, accumulation_steps
        config = replace(self.config, batch_size=batch_size, accumulation_steps=accumulation_steps)
        self._training = self.task.training_batches(config, self._splits.train, self.device)
        self._validation = self.task.evaluation_batches(config, self._splits.validation, self.device)

    def _epoch_that_fits(self) -> dict[str, float]:
        if self.trainer.ranks is not None:
            # One rank alone may run out of memory while the others wait for its sums; who sent them begins them anew.
            return self._trained_and_validated()
        before = packed(progress_of(self.trainer))
        while True:
            try:
                return self._trained_and_validated()
            except MemoryShortage:
                if not can_be_halved(self.batch_size, self.config.min_batch_size):
                    raise
            # Outside the handler: the error holds on to every tensor of the step that failed.
            self._shrink_batches()
            restore_progress(self.trainer, unpacked(before, self.device))

    @shortages_named()
    def _trained_and_validated(self) -> dict[str, float]:
        forget_peak(self.device)
        self._training.set_epoch(self.epoch)
        train = self.trainer.train_epoch(self._training, self.epoch, log_interval=0)
        taken: dict[str, object] = {"micro_batch": self.batch_size}
        if self.device.type == "cuda":
            taken["peak_gib"] = peak_gib(self.device)
        return _flat(train | taken, {}) | self._validated()

    def _validated(self) -> dict[str, float]:
        """The epoch's validation; where weights are averaged, also what the raw ones would give.

        In every epoch, not only the last: it is at the first rung that too long an average misleads a search.
        """
        metrics = self.task.build_metrics(self.config, final=False)
        val = _flat({}, self.trainer.validate(self._validation, metrics=metrics))
        if self.trainer.averaging is None:
            return val
        metrics = self.task.build_metrics(self.config, final=False)
        raw = _flat({}, self.trainer.judge(self._validation, metrics=metrics, averaged=False))
        return val | {f"val/raw_{name.removeprefix('val/')}": raw[name] for name in ("val/loss", self.task.objective)}

    def _shrink_batches(self) -> None:
        former = self.batch_size
        self._make_batches(*halved(self.batch_size, self.accumulation_steps))
        self.trainer.accumulation_steps = self.accumulation_steps
        self._fitting.limit(self._size, self.batch_size)
        torch.cuda.empty_cache()
        log_micro_batch_halved(former, self.batch_size, self.accumulation_steps, epoch=self.epoch + 1)


def run_epochs(run: TrainingRun, on_epoch: Callable[[EpochResult], None]) -> list[EpochResult]:
    """Trains what is left of the budget."""
    results = []
    while not run.is_complete:
        results.append(run.run_epoch())
        on_epoch(results[-1])
    return results


def build_trainer(
    task: Task[Any],
    config: TrialConfig,
    *,
    updates_per_epoch: int,
    device: torch.device,
    algorithm: Algorithm | None = None,
) -> OptimizedTrainer:
    """The trainer with every technique that the configuration switches on; the algorithm is its own unless given."""
    model = task.build_model(config)
    if config.gradient_checkpointing:
        _checkpoint_gradients(model, config.workload)
    if config.compile_backend is not None:
        # In place, so that the names of the weights stay what they are.
        model.compile(backend=config.compile_backend)
    supervision = task.build_supervision(config)
    trainer = OptimizedTrainer(
        model,
        build_optimizer(model, config.optimizer, supervision, algorithm=algorithm),
        supervision,
        device,
        accumulation_steps=config.accumulation_steps,
        precision=config.precision,
        total_epochs=config.max_epochs,
        warmup_epochs=0,
        enable_progressive_aug=False,
        max_grad_norm=config.max_grad_norm,
    )
    trainer.scheduler = config.schedule.build(
        trainer.optimizer, total_epochs=config.max_epochs, max_lr=config.optimizer.max_lr, mode=task.mode
    )
    if config.averaging is not None:
        trainer.averaging = WeightAverage(model, decay=config.averaging.decay(updates_per_epoch))
    if config.early_stopping is not None:
        trainer.early_stopping = EarlyStopping(config.early_stopping, task.mode)
    task.attach_techniques(trainer, config)
    return trainer


def _flat(train: Mapping[str, Any], val: dict[str, float]) -> dict[str, float]:
    """The documented names of the trainer as flat floats; text and lists stay behind."""
    flat = {f"train/{name}": float(value) for name, value in train.items() if isinstance(value, int | float)}
    flat |= {f"val/{name.removeprefix('val_')}": float(value) for name, value in val.items()}
    usage = train.get("collapse_expert_usage", ())
    return flat | {f"moe/usage_{index}": float(share) for index, share in enumerate(usage)}


def _checkpoint_gradients(model: nn.Module, workload: str) -> None:
    enable: Callable[[], None] | None = getattr(model, "enable_gradient_checkpointing", None)
    if enable is None:
        raise ValueError(f"gradient_checkpointing is on, but the network of {workload} has none; turn it off.")
    enable()
