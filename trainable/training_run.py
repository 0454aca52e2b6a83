"""One training run, from its configuration and opened data: builds the trainer, trains epoch after epoch.

The same object trains inside Ray and standalone; that is why the curve is the same.
"""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from trainable.build_trainer import build_trainer, monitor_of
from trainable.config import TrialConfig
from trainable.run import Ending, EpochResult, HandedOver, TrainedEpoch
from trainable.tasks.registry import get_task
from trainable.techniques import memory
from trainable.techniques.best_epoch import BestEpoch
from trainable.techniques.checkpoint import read_checkpoint, run_state, write_checkpoint
from trainable.techniques.constant_predictions import ConstantPredictions
from trainable.techniques.early_stopping import EarlyStopping
from trainable.techniques.engine import engine_switched
from trainable.techniques.gpu_utilisation import gpu_utilisation
from trainable.techniques.memory import MemoryShortage, MicroBatchCaps, MicroBatches
from trainable.techniques.optim.gradient_update import check_finite, updates_of
from trainable.techniques.parallel.data_parallel import Ranks
from trainable.techniques.parallel.random_streams import seed_everything


class TrainingRun:
    """A training run after `epoch` completed epochs.

    Args:
        config: the complete configuration.
        splits: the opened data, as the task's `open_data` gives it.
        device: where to train.
        ranks: this process' place among those that train together; None trains alone.
        caps: micro-batches that are known to fit from earlier runs of this process.
        log_interval: logs the mean loss so far every so many updates; 0 never does.
    """

    def __init__(
        self,
        config: TrialConfig,
        splits: Any,
        *,
        device: torch.device | str = "cpu",
        ranks: Ranks | None = None,
        caps: MicroBatchCaps | None = None,
        log_interval: int = 0,
    ) -> None:
        self.config, self.log_interval = config, log_interval
        self.device, self.task = torch.device(device), get_task(config.workload)
        self.objective = self.task.objective
        """The metric that is compared."""
        self.epoch = 0
        self.monitor = monitor_of(self.task, config)
        self._splits = splits
        self.micro_batches = MicroBatches(config, MicroBatchCaps() if caps is None else caps, self.device)
        seed_everything(config.seed)
        self._make_batches()
        updates_per_epoch = updates_of(self._training, self.micro_batches.accumulation_steps)
        self.trainer = build_trainer(
            self.task, config, updates_per_epoch=updates_per_epoch, device=self.device, ranks=ranks
        )
        stopping, mode = config.early_stopping, self.monitor.mode
        self.early_stopping = None if stopping is None else EarlyStopping(stopping, mode)
        self.best_epoch = None if config.best_epoch is None else BestEpoch(mode)
        self.lasting_collapse = self.task.build_lasting_collapse(config)
        self.constant_predictions = ConstantPredictions()

    @property
    def summary(self) -> str:
        """One line for people, such as `moe on cpu in fp32 (asked for)`."""
        precision = self.trainer.precision
        return f"{self.config.workload} on {self.device} in {precision.name} ({precision.reason})"

    @property
    def constant_since(self) -> int | None:
        """The epoch since which all predictions are alike; None while they differ."""
        return self.constant_predictions.began

    @property
    def ending(self) -> Ending | None:
        """Why there is no next epoch; None when there is one."""
        stopping, collapse = self.early_stopping, self.lasting_collapse
        if self.epoch >= self.config.max_epochs:
            return Ending(outcome="completed")
        if collapse is not None and collapse.has_ended:
            return Ending(outcome="experts_collapsed", numbers=collapse.numbers)
        if stopping is not None and stopping.has_stopped:
            return Ending(outcome="plateaued", numbers=stopping.numbers(self.epoch))
        return None

    def run_epoch(self, *, span_epochs: int = 1) -> EpochResult:
        """Trains and validates one epoch; if memory runs out, repeats the failed part in smaller batches.

        Args:
            span_epochs: epochs since the last validation, this one included.

        Raises:
            DivergedError: a loss, the gradient or a validation metric is not finite.
            MemoryShortage: the smallest micro-batch does not fit, or any on one of several ranks.
            ValueError: the validation does not give the monitored metric.
        """
        began = trained = time.perf_counter()

        def computed() -> dict[str, float]:
            nonlocal trained
            metrics, trained = self._trained_that_fits(), time.perf_counter()
            return metrics | self._validated()

        metrics = self._next_epoch(computed)
        monitored = self.monitor.value_in(metrics)
        self.trainer.scheduler.observe(monitored, epochs=span_epochs)
        if self.early_stopping is not None:
            self.early_stopping.observe(monitored, epochs=span_epochs)
        if self.best_epoch is not None:
            self.best_epoch.observe(monitored, epoch=self.epoch, weights=self.trainer.evaluated_weights)
        self.constant_predictions.observe(metrics, epoch=self.epoch)
        return self._result(metrics, began, trained)

    def train_epoch(self) -> TrainedEpoch:
        """Trains one epoch without validation, so that it is not compared and can't be the best."""
        began = time.perf_counter()
        metrics = self._next_epoch(self._trained_that_fits)
        seconds, precision = time.perf_counter() - began, self.trainer.precision_effective
        return TrainedEpoch(epoch=self.epoch, metrics=metrics, seconds=seconds, precision=precision)

    def _next_epoch(self, computed: Callable[[], dict[str, float]]) -> dict[str, float]:
        with engine_switched(self.config.engine):
            metrics = computed()
        check_finite(metrics, epoch=self.epoch, step=self.trainer.global_step)
        self.epoch += 1
        if self.lasting_collapse is not None and self.trainer.collapse_verdict is not None:
            self.lasting_collapse.observe(self.trainer.collapse_verdict)
        return metrics

    def test(self, data: Any = None) -> dict[str, float]:
        """Metrics of the handed-over weights, without a prefix.

        On the test split, by which no trials are compared, or on `data` in its place.
        """
        splits = self._splits if data is None else replace(self._splits, test=data)
        weights = self.handed_over.weights
        config = self.micro_batches.config
        with engine_switched(self.config.engine):
            return self._evaluation_that_fits(
                lambda: self.task.test(self.trainer, config, splits, self.device, weights=weights)
            )

    @property
    def handed_over(self) -> HandedOver:
        """The best epoch and its weights where they are kept, else the last."""
        best = self.best_epoch
        if best is None or best.weights is None:
            return HandedOver(self.epoch, self.trainer.evaluated_weights(), None)
        return HandedOver(best.epoch, best.weights, best.value)

    @property
    def is_at_best_epoch(self) -> bool:
        """Whether the current epoch is the best so far; False if no best epoch is kept."""
        return self.best_epoch is not None and self.best_epoch.epoch == self.epoch

    def save(self, path: Path) -> None:
        """Writes the state after the last completed epoch; all ranks call it, and the first writes."""
        run: dict[str, Any] = {name: part.state_dict() for name, part in self._parts().items()}
        run["monitor"] = asdict(self.monitor)
        state = {"epoch": self.epoch, "trainer": self.trainer.state_dict(), "run": run}
        if self.trainer.ranks is None or self.trainer.ranks.is_first:
            write_checkpoint(path, state)

    def restore(self, path: Path) -> None:
        """Restores the state that `save` wrote; with another monitor, the best epoch and the patience start over.

        Raises:
            CheckpointError: the file is not a checkpoint of this format.
        """
        checkpoint = read_checkpoint(path, self.device)
        self.epoch, states = checkpoint["epoch"], run_state(checkpoint)
        size = self.micro_batches.size
        # Values of another metric can't be compared; older checkpoints don't say which one it was.
        is_same_monitor = states.get("monitor", asdict(self.monitor)) == asdict(self.monitor)
        comparing = () if is_same_monitor else ("early_stopping", "best_epoch")
        for name, part in self._parts().items():
            if name in states and name not in comparing:
                part.load_state_dict(states[name])
        if self.micro_batches.size != size:
            self._replace_batches()
        self.trainer.load_state_dict(checkpoint["trainer"])
        if not is_same_monitor:
            self.trainer.scheduler.forget_best()

    def _parts(self) -> dict[str, Any]:
        """Active parts that decide after each epoch, by name."""
        parts = {
            "micro_batches": self.micro_batches,
            "early_stopping": self.early_stopping,
            "best_epoch": self.best_epoch,
            "lasting_collapse": self.lasting_collapse,
            "constant_predictions": self.constant_predictions,
        }
        return {name: part for name, part in parts.items() if part is not None}

    def _result(self, metrics: dict[str, float], began: float, trained: float) -> EpochResult:
        now = time.perf_counter()
        return EpochResult(
            epoch=self.epoch,
            objective=metrics[self.task.objective],
            metrics=metrics,
            seconds=now - began,
            precision=self.trainer.precision_effective,
            validation_seconds=now - trained,
        )

    def _make_batches(self) -> None:
        config = self.micro_batches.config
        self._training = self.task.training_batches(config, self._splits.train, self.device)
        self._validation = self.task.evaluation_batches(config, self._splits.validation, self.device)

    def _replace_batches(self) -> None:
        # Given back first: new batches lie on the device only where enough of it is free.
        del self._training, self._validation
        memory.empty_cache(self.device)
        self._make_batches()

    def _trained_that_fits(self) -> dict[str, float]:
        trained = memory.shortages_named()(self._trained)
        if self.trainer.ranks is not None:
            # One rank alone may run out of memory while the others wait for its sums; the caller restarts all of them.
            return trained()
        before = memory.copy_to_cpu(self.trainer.state_dict())
        while True:
            try:
                return trained()
            except MemoryShortage:
                if not self.micro_batches.halve(epoch=self.epoch + 1):
                    raise
            # Outside the handler: the error holds on to every tensor of the step that failed.
            self._replace_batches()
            # Another copy: the optimizer keeps and changes the tensors that it is given.
            self.trainer.load_state_dict(memory.copy_to_cpu(before))

    def _evaluation_that_fits(self, evaluated: Callable[[], dict[str, float]]) -> dict[str, float]:
        evaluated = memory.shortages_named()(evaluated)
        while True:
            self.trainer.evaluation_batch_size = self.micro_batches.evaluation_batch_size
            try:
                return evaluated()
            except MemoryShortage:
                if self.trainer.ranks is not None or not self.micro_batches.halve_evaluated():
                    raise
            memory.empty_cache(self.device)

    def _trained(self) -> dict[str, float]:
        memory.forget_peak(self.device)
        config, model, averaging = self.micro_batches.config, self.trainer.model, self.trainer.techniques.averaging
        if self.epoch == 0 and self.task.start(config, model, self._splits.train) and averaging is not None:
            averaging.restart()
        self._training.set_epoch(self.epoch)
        utilisation = gpu_utilisation(self.device)
        with nullcontext() if utilisation is None else utilisation(self.trainer.optimizer) as busy_percent:
            metrics = self.trainer.train_epoch(
                self._training, self.epoch, self.log_interval, accumulation_steps=self.micro_batches.accumulation_steps
            )
        metrics["micro_batch"] = self.micro_batches.size
        if self.device.type == "cuda":
            metrics["peak_gib"] = memory.peak_gib(self.device)
        if busy_percent:
            metrics["gpu_utilisation_percent"] = fmean(busy_percent)
        # Under their flat names, without text and lists, except the use of the experts.
        flat = {f"train/{name}": float(value) for name, value in metrics.items() if isinstance(value, int | float)}
        usage: Any = metrics.get("collapse_expert_usage", ())
        return flat | {f"moe/usage_{index}": float(share) for index, share in enumerate(usage)}

    def _validated(self) -> dict[str, float]:
        """Validates the epoch; with averaged weights, also the raw ones.

        It does so in every epoch, not only the last, since too long an average misleads a search at the first rung.
        """

        def measured(*, averaged: bool) -> dict[str, float]:
            metrics = self.task.build_metrics(self.config, final=False)
            return self.trainer.evaluate(self._validation, metrics=metrics, averaged=averaged).flat

        values = self._evaluation_that_fits(partial(measured, averaged=True))
        if self.trainer.techniques.averaging is not None:
            raw = self._evaluation_that_fits(partial(measured, averaged=False))
            values |= {f"raw_{name}": raw[name] for name in ("loss", self.task.measured_objective)}
        return {f"val/{name}": float(value) for name, value in values.items()}
