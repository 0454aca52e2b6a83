"""The training loop: reads top to bottom and calls each technique by its name.

Around a model of one's own it is made by `OptimizedTrainer`, from a configuration by `build_trainer`.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from trainable.device_copy import sent_to
from trainable.metrics.running_mean import RunningMeans
from trainable.models.output import ModelOutput, as_model_output
from trainable.supervision.base import Supervision
from trainable.supervision.evaluation import Evaluation, Metrics, MetricsFunction, evaluate
from trainable.techniques.checkpoint import Resumable
from trainable.techniques.experts.collapse_evidence import CollapseVerdict
from trainable.techniques.experts.routing_terms import count_ahead, routing_metrics, routing_terms
from trainable.techniques.memory import DividedBatches, copy_to_cpu
from trainable.techniques.optim.averaging import carrying
from trainable.techniques.optim.gradient_update import GradientStep, sample_weights, updates_of, windows
from trainable.techniques.optim.optimizer import check_all_trained
from trainable.techniques.optim.precision import Precision
from trainable.techniques.optim.schedule import Schedule
from trainable.techniques.parallel.data_parallel import Ranks
from trainable.techniques.parallel.tensor_tree import map_tensors
from trainable.techniques.techniques import Techniques

logger = logging.getLogger(__name__)

Batch = tuple[Tensor, Any]
"""Images, the first axis of which counts the samples, and targets: a tensor, or tensors in lists and dicts."""


class Trainer(Resumable):
    """Trains a model with the techniques that it is given, whole.

    Args:
        model: what trainable/models/output.py takes its outputs for; on `device`, as the supervision is.
        optimizer: holds every trainable parameter of both.
        supervision: makes a loss of a training batch, and scores of an evaluation batch.
        device: where batches are sent.
        scheduler: sets the optimizer's rates before every update.
        precision: the number format in effect on the device.
        techniques: everything else; what is None is off.
        ranks: this process among those that train together, which have prepared the model; None trains alone.

    Raises:
        ValueError: a trainable parameter is not in the optimizer.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        supervision: Supervision,
        device: torch.device | str,
        *,
        scheduler: Schedule,
        precision: Precision,
        techniques: Techniques,
        ranks: Ranks | None = None,
    ) -> None:
        check_all_trained(optimizer, [model, supervision])
        supervision.attach(model)
        self.model, self.optimizer, self.supervision = model, optimizer, supervision
        self.device = torch.device(device)
        self.scheduler = scheduler
        self.precision, self.scaler = precision, precision.scaler()
        self.techniques = techniques
        self.ranks = ranks
        self.gradient_step = GradientStep(optimizer)
        self.current_epoch = self.global_step = 0
        self.evaluation_batch_size: int | None = None
        """Evaluation batches with more samples are divided; None leaves all as they come."""
        self.collapse_verdict: CollapseVerdict | None = None
        """Verdict of the collapse detector on the last epoch, before the response; None without a detector."""

    @property
    def precision_effective(self) -> str:
        """The number format that the device computes in: fp32, fp16 or bf16."""
        return self.precision.name

    def train_epoch(
        self, loader: Iterable[Batch], epoch: int, log_interval: int = 10, *, accumulation_steps: int = 1
    ) -> dict[str, object]:
        """Trains one epoch, with so many micro-batches an update, and returns its metrics under their documented names.

        Raises:
            DivergedError: a loss term or the gradient is not finite; the weights are those before it.
            ValueError: the loader is empty or has no length, or routing is needed and the model gives none.
        """
        updates = updates_of(loader, accumulation_steps)
        self._begin_epoch(epoch)
        means = RunningMeans()
        done = 0
        for index, window in enumerate(windows(loader, accumulation_steps)):
            self.scheduler.step(epoch + (done + 1) / updates)
            done += int(self._update(window, means))
            if log_interval and (index + 1) % log_interval == 0:
                loss = means.compute()["loss"]
                logger.info("epoch %d, update %d of %d, loss %.4f", epoch + 1, index + 1, updates, loss)
        self.supervision.end_epoch(means.compute())
        return {**means.compute(), **self.scheduler.named_rates()} | self._end_epoch()

    def evaluate(
        self,
        loader: Iterable[Batch],
        metrics_fn: MetricsFunction | None = None,
        *,
        metrics: Metrics | None = None,
        supervision: Supervision | None = None,
        averaged: bool = True,
        weights: Mapping[str, Any] | None = None,
    ) -> Evaluation:
        """Judges the model on a split, never augmented, and leaves the trainer as it was.

        Predictions are resized to the masks where the masks come at their own resolution.

        Args:
            loader: batches (images, masks); all masks of one batch have one size.
            metrics_fn: `(logits, masks) -> dict`; its values are averaged over the samples.
            metrics: an accumulator for what is not a mean over batches, fed with the supervision's scores.
            supervision: evaluates in place of the trainer's own, such as one that averages several views.
            averaged: with averaging on, the averaged weights are evaluated; False evaluates the raw ones.
            weights: evaluated in place of the model's own, averaged or not; None evaluates those.
        """
        if self.evaluation_batch_size is not None:
            loader = DividedBatches(loader, self.evaluation_batch_size)
        batches, supervision = map(self._to_device, loader), supervision or self.supervision
        with self._evaluating(averaged=averaged, weights=weights):
            return evaluate(
                self._forward, batches, supervision, metrics_fn=metrics_fn, metrics=metrics, ranks=self.ranks
            )

    def evaluated_weights(self) -> dict[str, Any]:
        """A copy of the weights that validation uses: the averaged ones when averaging is on."""
        with self._evaluating():
            return copy_to_cpu(self.model.state_dict())

    def _begin_epoch(self, epoch: int) -> None:
        self.current_epoch = epoch
        self.model.train()
        if self.techniques.unfreezing is not None:
            self.techniques.unfreezing.update_epoch(epoch)
        self.optimizer.zero_grad(set_to_none=True)
        if self.techniques.augmentation is not None:
            self.techniques.augmentation.update_epoch(epoch)

    def _update(self, window: list[Batch], means: RunningMeans) -> bool:
        """One optimizer update from a window of micro-batches; False when fp16 overflowed and it was skipped."""
        batches = [self._to_device(batch) for batch in window]
        if self.techniques.augmentation is not None:
            batches = [self.techniques.augmentation.apply(*batch) for batch in batches]
        sizes = [len(images) for images, _ in batches]
        weights = sample_weights(sizes)
        if self.ranks is not None:
            batches, weights = self.ranks.shares(batches, weights)
        balancer = self.techniques.load_balancer
        if balancer is not None and balancer.mode == "exact":
            count_ahead(balancer, [images for images, _ in batches], forward=self._forward, model=self.model)
        stepped, terms = self.gradient_step(
            self._backward(batches, weights),
            scaler=self.scaler,
            max_grad_norm=self.techniques.max_grad_norm,
            epoch=self.current_epoch,
            step=self.global_step,
        )
        means.add(terms, sum(sizes))
        if stepped:
            self.global_step += 1
            self.supervision.end_update(terms)
            if self.techniques.averaging is not None:
                self.techniques.averaging.update()
        if balancer is not None:
            balancer.reset_batch_statistics()
        return stepped

    def _backward(self, batches: list[Batch], weights: list[float]) -> dict[str, Tensor]:
        """Leaves the gradient of a whole window, over all ranks, and returns its loss terms."""
        terms: dict[str, Tensor] = {}
        for (images, targets), weight in zip(batches, weights, strict=True):
            micro = self._losses(images, targets)
            self.scaler.scale(_weight(micro["loss"], weight)).backward()
            shares = {name: _weight(value.detach(), weight) for name, value in micro.items()}
            terms = {name: terms[name] + share for name, share in shares.items()} if terms else shares
        if self.ranks is None:
            return terms
        return self.ranks.sum_update((p for group in self.optimizer.param_groups for p in group["params"]), terms)

    def _end_epoch(self) -> dict[str, object]:
        """Returns the techniques' metrics of the epoch, and responds to a collapse of the experts."""
        used = self.techniques
        detector = used.collapse_detector
        # Once for all who ask: each check reads from the device, and sums over ranks.
        verdict = self.collapse_verdict = None if detector is None else detector.check()
        metrics = routing_metrics(used.load_balancer, detector, verdict)
        if used.augmentation is not None:
            metrics["aug_strength"] = used.augmentation.current_strength
        if used.unfreezing is not None:
            metrics["unfrozen_share"] = used.unfreezing.current_share
        if detector is not None and used.collapse_response is not None:
            for event in used.collapse_response.step(
                detector, epoch=self.current_epoch, step=self.global_step, verdict=verdict
            ):
                logger.info("%s", event)
            if used.averaging is not None:
                used.averaging.restart_rows(used.collapse_response.rewritten)
            metrics["collapse_acts"] = len(used.collapse_response.events)
        return metrics

    def _losses(self, images: Tensor, targets: Any) -> dict[str, Tensor]:
        """All terms of a micro-batch's mean loss; "loss" is the one that is minimised."""
        supervised = self.supervision.losses(self._forward, images, targets)
        added = routing_terms(
            supervised.output.routing,
            balancer=self.techniques.load_balancer,
            detector=self.techniques.collapse_detector,
            z_loss_weight=self.techniques.z_loss_weight,
        )
        if self.techniques.contrastive is not None:
            added["contrastive_loss"] = self.techniques.contrastive(supervised.output, self._forward, images, targets)
        total = supervised.total + sum(added.values()) if added else supervised.total
        return {"loss": total, **supervised.parts, **added}

    def _forward(self, *inputs: Any) -> ModelOutput:
        with self.precision.autocast():
            return as_model_output(self.model(*inputs))

    def _to_device(self, batch: Batch) -> Batch:
        """Moves a batch to the device, with a short cut for the usual two tensors."""
        images, targets = batch
        if isinstance(images, Tensor) and isinstance(targets, Tensor):
            return sent_to(self.device, images), sent_to(self.device, targets)
        return map_tensors(partial(sent_to, self.device), batch)

    @contextmanager
    def _evaluating(self, *, averaged: bool = True, weights: Mapping[str, Any] | None = None) -> Iterator[None]:
        """Evaluation mode in a context; restores each module's mode, since frozen ones evaluate during training."""
        modes = [(module, module.training) for module in self.model.modules()]
        replaced: AbstractContextManager[None] = nullcontext()
        if weights is not None:
            replaced = carrying(self.model, weights)
        elif averaged and self.techniques.averaging is not None:
            replaced = self.techniques.averaging.applied()
        with replaced:
            self.model.eval()
            try:
                yield
            finally:
                for module, mode in modes:
                    module.training = mode


def _weight(value: Tensor, weight: float) -> Tensor:
    """Weights a loss; skips the product for a window of a single micro-batch."""
    return value if weight == 1.0 else value * weight
