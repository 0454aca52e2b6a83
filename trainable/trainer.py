"""The training loop: reads top to bottom and calls each technique by its name.

A person brings a model, an optimizer, a criterion and a loader of (images, masks); a workload's task brings the
same, or a supervision of its own for other targets. Techniques are small objects held as public attributes, each
replaceable, each `None` when off.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainable.losses.segmentation import Criterion
from trainable.metrics.running_mean import RunningMeans
from trainable.models.output import ModelOutput, as_model_output
from trainable.supervision.base import DeepSupervision, Supervision
from trainable.supervision.evaluation import Metrics, MetricsFunction, evaluate
from trainable.techniques.augment.batch_augmentation import BatchAugmentation
from trainable.techniques.augment.pixel_range import PixelRange
from trainable.techniques.augment.progressive_augmentation import CODProgressiveAugmentation
from trainable.techniques.checkpoint import as_plain, read_checkpoint, write_checkpoint
from trainable.techniques.contrastive_term import ContrastiveTerm
from trainable.techniques.early_stopping import EarlyStopping
from trainable.techniques.experts.collapse_response import CollapseResponse
from trainable.techniques.experts.expert_collapse import ExpertCollapseDetector
from trainable.techniques.experts.lasting_collapse import LastingCollapse
from trainable.techniques.experts.load_balance import GlobalBatchLoadBalancer
from trainable.techniques.experts.routing_terms import count_ahead, routing_metrics, routing_terms
from trainable.techniques.optim.averaging import WeightAverage
from trainable.techniques.optim.gradient_update import GradientStep, sample_weights, updates_of, windows
from trainable.techniques.optim.optimizer import check_all_trained
from trainable.techniques.optim.precision import resolve_precision
from trainable.techniques.optim.schedule import CosineAnnealingWithWarmup, Schedule
from trainable.techniques.optim.unfreezing import GradualUnfreezing
from trainable.techniques.parallel.data_parallel import Ranks
from trainable.techniques.parallel.tensor_tree import map_tensors
from trainable.trainer_state import progress_of, restore_progress

logger = logging.getLogger(__name__)

Batch = tuple[Tensor, Any]
"""Images, the first axis of which counts the samples, and targets: a tensor, or tensors in lists and dicts."""


class OptimizedTrainer:
    """Trains a model with the documented techniques.

    Args:
        model: returns logits (B, 1, H, W), a dict, a tuple or a ModelOutput; see trainable/models/output.py.
        optimizer: holds every trainable parameter of the model and the criterion; its groups keep their proportions.
        criterion: `(logits, masks) -> mean loss` over the samples of a batch, or a Supervision.
        device: where to train, such as "cpu" or "cuda".
        accumulation_steps: micro-batches per optimizer update, >= 1.
        use_amp: fp16 with loss scaling on CUDA; `precision_effective` says what is in effect.
        precision: "auto", "fp32", "fp16" or "bf16"; overrides `use_amp`.
        total_epochs, warmup_epochs: length of the schedule and of its warm-up, in epochs.
        min_lr, max_lr: bounds of the learning rate.
        num_experts: experts per layer; needed for balancing and collapse detection.
        aug_transition_epoch, aug_transition_duration: start and length of the augmentation's ramp, in epochs.
        aug_initial_strength, aug_max_strength: strength before and after it, 0 to 1.
        pixel_range: what the loader did to pixels of [0, 1], such as PixelRange.normalised(mean, std); None: nothing.
        max_grad_norm: the gradient of a whole update is clipped to this norm; None is off.
        aux_weight: weight of the mean auxiliary loss.
        z_loss_weight: weight of the router's z-loss, 0 is off.
        seed: seeds the augmentation's own random generator.

    Raises:
        ValueError: an argument is out of its range, or a trainable parameter is not in the optimizer.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        criterion: Criterion | Supervision,
        device: torch.device | str,
        *,
        accumulation_steps: int = 1,
        use_amp: bool = True,
        precision: str | None = None,
        total_epochs: float = 100,
        warmup_epochs: float = 5,
        min_lr: float = 1e-6,
        max_lr: float = 1e-4,
        num_experts: int | None = None,
        enable_load_balancing: bool = False,
        enable_collapse_detection: bool = False,
        enable_progressive_aug: bool = True,
        aug_transition_epoch: float = 20,
        aug_transition_duration: float = 10,
        aug_initial_strength: float = 0.3,
        aug_max_strength: float = 0.8,
        pixel_range: PixelRange | None = None,
        max_grad_norm: float | None = 1.0,
        aux_weight: float = 0.4,
        z_loss_weight: float = 0.0,
        seed: int = 0,
    ) -> None:
        if accumulation_steps < 1:
            raise ValueError(f"accumulation_steps is {accumulation_steps}; it must be 1 or more.")
        self.device = torch.device(device)
        self.model = model.to(self.device)
        self.optimizer = optimizer
        self.supervision = (
            criterion if isinstance(criterion, Supervision) else DeepSupervision(criterion, aux_weight=aux_weight)
        )
        self.supervision.to(self.device)
        check_all_trained(optimizer, [model, self.supervision])
        self.accumulation_steps = accumulation_steps
        self.max_grad_norm = max_grad_norm
        self.z_loss_weight = z_loss_weight

        self.precision = resolve_precision(precision or ("fp16" if use_amp else "fp32"), self.device)
        self.scaler = self.precision.scaler()
        self.scheduler: Schedule = CosineAnnealingWithWarmup(optimizer, warmup_epochs, total_epochs, min_lr, max_lr)
        self.augmentation: BatchAugmentation | None = None
        if enable_progressive_aug:
            self.augmentation = CODProgressiveAugmentation(
                initial_strength=aug_initial_strength,
                max_strength=aug_max_strength,
                transition_epoch=aug_transition_epoch,
                transition_duration=aug_transition_duration,
                pixel_range=pixel_range,
                generator=torch.Generator().manual_seed(seed),
            )
        self.load_balancer = GlobalBatchLoadBalancer(_known(num_experts)) if enable_load_balancing else None
        self.collapse_detector = ExpertCollapseDetector(_known(num_experts)) if enable_collapse_detection else None
        self.collapse_response: CollapseResponse | None = None
        self.lasting_collapse: LastingCollapse | None = None
        self.contrastive: ContrastiveTerm | None = None
        self.averaging: WeightAverage | None = None
        self.early_stopping: EarlyStopping | None = None
        self.unfreezing: GradualUnfreezing | None = None
        self.ranks: Ranks | None = None

        self.current_epoch = 0
        self.global_step = 0
        self.best_loss = float("inf")
        self.latest_loss = float("nan")
        self.gradient_step = GradientStep(optimizer)

    @property
    def precision_effective(self) -> str:
        """The number format that the device computes in: fp32, fp16 or bf16."""
        return self.precision.name

    def train_epoch(self, loader: Iterable[Batch], epoch: int, log_interval: int = 10) -> dict[str, object]:
        """Trains one epoch and returns its metrics under their documented names.

        Raises:
            DivergedError: a loss term or the gradient is not finite; the weights are those before it.
            ValueError: the loader is empty or has no length, or routing is needed and the model gives none.
        """
        updates = updates_of(loader, self.accumulation_steps)
        self._begin_epoch(epoch)
        means = RunningMeans()
        done = 0
        for index, window in enumerate(windows(loader, self.accumulation_steps)):
            self.scheduler.step(epoch + (done + 1) / updates)
            done += self._update(window, means)
            if log_interval and (index + 1) % log_interval == 0:
                logger.info("epoch %d, update %d of %d, loss %.4f", epoch, index + 1, updates, means.compute()["loss"])
        metrics: dict[str, object] = {**means.compute(), "lr": self.scheduler.get_last_lr()[0]}
        metrics |= routing_metrics(self.load_balancer, self.collapse_detector)
        if self.augmentation is not None:
            metrics["aug_strength"] = self.augmentation.current_strength
        if self.unfreezing is not None:
            metrics["unfrozen_share"] = self.unfreezing.current_share
        if self.lasting_collapse is not None:
            self.lasting_collapse.observe(self._watching_detector().check())
        if self.collapse_response is not None:
            for event in self.collapse_response.step(self._watching_detector(), epoch=epoch, step=self.global_step):
                logger.info("%s", event)
            metrics["collapse_acts"] = len(self.collapse_response.events)
        self.supervision.end_epoch(means.compute())
        return metrics

    def validate(
        self,
        loader: Iterable[Batch],
        metrics_fn: MetricsFunction | None = None,
        *,
        metrics: Metrics | None = None,
        supervision: Supervision | None = None,
    ) -> dict[str, float]:
        """Judges the model, and remembers its loss as the latest and perhaps the best.

        Predictions are resized to the masks where the masks come at their own resolution.

        Args:
            loader: batches (images, masks); all masks of one batch have one size.
            metrics_fn: `(logits, masks) -> dict`; its values are averaged over the samples.
            metrics: an accumulator for what is no mean over batches, fed with the supervision's scores.
            supervision: judges in place of the trainer's own, such as one that averages several looks.

        Returns:
            `val_loss` and the metrics.
        """
        result = self.judge(loader, metrics_fn, metrics=metrics, supervision=supervision)
        self.latest_loss = result["val_loss"]
        self.best_loss = min(self.best_loss, self.latest_loss)
        return result

    def judge(
        self,
        loader: Iterable[Batch],
        metrics_fn: MetricsFunction | None = None,
        *,
        metrics: Metrics | None = None,
        supervision: Supervision | None = None,
        averaged: bool = True,
    ) -> dict[str, float]:
        """Evaluates as `validate` does, never augmented, and leaves the trainer as it was.

        With averaging on, the averaged weights are judged, or the raw ones where `averaged` is False.
        """
        batches, judge = map(self._to_device, loader), supervision or self.supervision
        with self._evaluating(averaged=averaged):
            return evaluate(self._forward, batches, judge, metrics_fn=metrics_fn, metrics=metrics, ranks=self.ranks)

    def evaluated_weights(self) -> dict[str, Tensor]:
        """A copy of the weights that validation uses: the averaged ones when averaging is on."""
        with self._evaluating():
            return {name: value.detach().cpu().clone() for name, value in self.model.state_dict().items()}

    def save_checkpoint(self, path: str | Path, epoch: int, metrics: Mapping[str, object] | None = None) -> None:
        """Writes all progress, so that `load_checkpoint` goes on after `epoch` as if nothing had happened.

        All ranks call it, and the first writes.
        """
        state = {"epoch": epoch, "metrics": as_plain(metrics or {}), "trainer": progress_of(self)}
        if self.ranks is None or self.ranks.is_first:
            write_checkpoint(path, state)

    def load_checkpoint(self, path: str | Path) -> int:
        """Restores progress under the present configuration and returns its epoch.

        Raises:
            CheckpointError: the file is no checkpoint of this format.
        """
        checkpoint = read_checkpoint(path, self.device)
        restore_progress(self, checkpoint["trainer"])
        return checkpoint["epoch"]

    def get_training_summary(self) -> dict[str, object]:
        """Where the training stands, under the documented names."""
        detector, balancer = self.collapse_detector, self.load_balancer
        statistics = detector.get_statistics() if detector else {}
        return {
            "current_epoch": self.current_epoch,
            "global_step": self.global_step,
            "current_lr": self.scheduler.get_last_lr()[0],
            "best_loss": self.best_loss,
            "latest_loss": self.latest_loss,
            "precision": self.precision_effective,
            "augmentation_strength": self.augmentation.current_strength if self.augmentation else 0.0,
            "expert_collapse_detected": bool(statistics.get("collapsed", False)),
            "collapse_stats": statistics,
            "global_load_stats": balancer.get_global_statistics() if balancer else {},
        }

    def _begin_epoch(self, epoch: int) -> None:
        self.current_epoch = epoch
        self.model.train()
        if self.unfreezing is not None:
            self.unfreezing.update_epoch(epoch)
        self.optimizer.zero_grad(set_to_none=True)
        if self.augmentation is not None:
            self.augmentation.update_epoch(epoch)

    def _update(self, window: list[Batch], means: RunningMeans) -> bool:
        """One optimizer update from a window of micro-batches; False when fp16 overflowed and it was skipped."""
        batches = [self._augmented(self._to_device(batch)) for batch in window]
        sizes = [len(images) for images, _ in batches]
        weights = sample_weights(sizes)
        if self.ranks is not None:
            batches, weights = self.ranks.shares(batches, weights)
        if self.load_balancer is not None and self.load_balancer.mode == "exact":
            count_ahead(self.load_balancer, [images for images, _ in batches], forward=self._forward, model=self.model)
        terms: dict[str, Tensor] = {}
        for (images, targets), weight in zip(batches, weights, strict=True):
            micro = self._losses(images, targets)
            self.scaler.scale(_weighted(micro["loss"], weight)).backward()
            shares = {name: _weighted(value.detach(), weight) for name, value in micro.items()}
            terms = {name: terms[name] + share for name, share in shares.items()} if terms else shares
        if self.ranks is not None:
            self.ranks.sum_gradients(p for group in self.optimizer.param_groups for p in group["params"])
            terms = self.ranks.sum_terms(terms)
        stepped = self.gradient_step(
            terms,
            scaler=self.scaler,
            max_grad_norm=self.max_grad_norm,
            epoch=self.current_epoch,
            step=self.global_step,
        )
        means.add(self.gradient_step.terms, sum(sizes))
        if stepped:
            self.global_step += 1
            if self.averaging is not None:
                self.averaging.update()
        if self.load_balancer is not None:
            self.load_balancer.reset_batch_statistics()
        return stepped

    def _watching_detector(self) -> ExpertCollapseDetector:
        if self.collapse_detector is None:
            raise ValueError("A collapse is acted on, but nothing looks for one; give the trainer a collapse_detector.")
        return self.collapse_detector

    def _losses(self, images: Tensor, targets: Any) -> dict[str, Tensor]:
        """Every term of a micro-batch's mean loss; "loss" is all that is lowered."""
        supervised = self.supervision.losses(self._forward, images, targets)
        added = routing_terms(
            supervised.output.routing,
            balancer=self.load_balancer,
            detector=self.collapse_detector,
            z_loss_weight=self.z_loss_weight,
        )
        if self.contrastive is not None:
            added["contrastive_loss"] = self.contrastive(supervised.output, self._forward, images, targets)
        total = supervised.total + sum(added.values()) if added else supervised.total
        return {"loss": total, **supervised.parts, **added}

    def _forward(self, *inputs: Any) -> ModelOutput:
        with self.precision.autocast():
            return as_model_output(self.model(*inputs))

    def _augmented(self, batch: Batch) -> Batch:
        return batch if self.augmentation is None else self.augmentation.apply(*batch)

    def _to_device(self, batch: Batch) -> Batch:
        """Batches of two tensors, the usual ones, are spared the walk through a tree."""
        images, targets = batch
        if isinstance(images, Tensor) and isinstance(targets, Tensor):
            return images.to(self.device, non_blocking=True), targets.to(self.device, non_blocking=True)
        return map_tensors(lambda tensor: tensor.to(self.device, non_blocking=True), batch)

    @contextmanager
    def _evaluating(self, *, averaged: bool = True) -> Iterator[None]:
        """Every module gets its own mode back: a frozen one may evaluate while the others train."""
        modes = [(module, module.training) for module in self.model.modules()]
        with self.averaging.applied() if averaged and self.averaging is not None else nullcontext():
            self.model.eval()
            try:
                yield
            finally:
                for module, mode in modes:
                    module.training = mode


def _known(num_experts: int | None) -> int:
    if num_experts is None:
        raise ValueError("Load balancing and collapse detection need num_experts, the experts of a layer; it is None.")
    return num_experts


def _weighted(value: Tensor, weight: float) -> Tensor:
    """A window of one micro-batch is its own mean: no product, and none in the backward pass."""
    return value if weight == 1.0 else value * weight
