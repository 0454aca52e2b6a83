"""The interface of the source documents: a trainer around your own model, every technique by an argument."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from trainable.losses.segmentation import Criterion
from trainable.supervision.base import DeepSupervision, Supervision
from trainable.supervision.evaluation import Metrics, MetricsFunction
from trainable.techniques.augment.pixel_range import PixelRange
from trainable.techniques.augment.progressive_augmentation import CODProgressiveAugmentation
from trainable.techniques.experts.expert_collapse import ExpertCollapseDetector
from trainable.techniques.experts.load_balance import GlobalBatchLoadBalancer
from trainable.techniques.optim.precision import resolve_precision
from trainable.techniques.optim.schedule import CosineAnnealingWithWarmup
from trainable.techniques.techniques import Techniques
from trainable.trainer import Batch, Trainer


class _Replaceable:
    """One of the trainer's techniques as an attribute, which a script may replace between epochs."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, trainer: Trainer | None, owner: type) -> Any:
        return self if trainer is None else getattr(trainer.techniques, self._name)

    def __set__(self, trainer: Trainer, technique: Any) -> None:
        trainer.techniques = replace(trainer.techniques, **{self._name: technique})


class OptimizedTrainer(Trainer):
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
        min_lr: learning rate at the start of the warm-up and at the end, >= 0.
        max_lr: peak learning rate of the fastest parameter group, in place of the optimizer's own; None
            keeps the optimizer's.
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

    counters = (*Trainer.counters, "best_loss", "latest_loss")

    augmentation = _Replaceable()
    contrastive = _Replaceable()
    load_balancer = _Replaceable()
    collapse_detector = _Replaceable()
    collapse_response = _Replaceable()
    averaging = _Replaceable()
    unfreezing = _Replaceable()
    max_grad_norm = _Replaceable()
    z_loss_weight = _Replaceable()

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
        max_lr: float | None = None,
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
        device = torch.device(device)
        augmentation = None
        if enable_progressive_aug:
            augmentation = CODProgressiveAugmentation(
                initial_strength=aug_initial_strength,
                max_strength=aug_max_strength,
                transition_epoch=aug_transition_epoch,
                transition_duration=aug_transition_duration,
                pixel_range=pixel_range,
                generator=torch.Generator().manual_seed(seed),
            )
        if not isinstance(criterion, Supervision):
            criterion = DeepSupervision(criterion, aux_weight=aux_weight)
        super().__init__(
            model.to(device),
            optimizer,
            criterion.to(device),
            device,
            scheduler=CosineAnnealingWithWarmup(optimizer, warmup_epochs, total_epochs, min_lr, max_lr),
            precision=resolve_precision(precision or ("fp16" if use_amp else "fp32"), device),
            techniques=Techniques(
                augmentation=augmentation,
                load_balancer=GlobalBatchLoadBalancer(_known(num_experts)) if enable_load_balancing else None,
                collapse_detector=ExpertCollapseDetector(_known(num_experts)) if enable_collapse_detection else None,
                max_grad_norm=max_grad_norm,
                z_loss_weight=z_loss_weight,
            ),
        )
        self.accumulation_steps = accumulation_steps
        self.best_loss, self.latest_loss = float("inf"), float("nan")

    def train_epoch(
        self, loader: Iterable[Batch], epoch: int, log_interval: int = 10, *, accumulation_steps: int | None = None
    ) -> dict[str, object]:
        """Trains one epoch and returns its metrics under their documented names.

        Raises:
            DivergedError: a loss term or the gradient is not finite; the weights are those before it.
            ValueError: the loader is empty or has no length, or routing is needed and the model gives none.
        """
        steps = self.accumulation_steps if accumulation_steps is None else accumulation_steps
        return super().train_epoch(loader, epoch, log_interval, accumulation_steps=steps)

    def validate(
        self,
        loader: Iterable[Batch],
        metrics_fn: MetricsFunction | None = None,
        *,
        metrics: Metrics | None = None,
        supervision: Supervision | None = None,
    ) -> dict[str, float]:
        """Evaluates, and remembers the loss as the latest and perhaps the best.

        Args:
            loader: batches (images, masks); all masks of one batch have one size.
            metrics_fn: `(logits, masks) -> dict`; its values are averaged over the samples.
            metrics: an accumulator for what is not a mean over batches, fed with the supervision's scores.
            supervision: evaluates in place of the trainer's own, such as one that averages several views.

        Returns:
            `val_loss` and the metrics, which keep their names.
        """
        result = self.evaluate(loader, metrics_fn, metrics=metrics, supervision=supervision)
        self.latest_loss = result.losses["loss"]
        self.best_loss = min(self.best_loss, self.latest_loss)
        return {f"val_{name}": value for name, value in result.losses.items()} | result.metrics

    def get_training_summary(self) -> dict[str, object]:
        """State of the training, under the documented names."""
        augmentation = self.techniques.augmentation
        detector, balancer = self.techniques.collapse_detector, self.techniques.load_balancer
        statistics = detector.get_statistics() if detector else {}
        return {
            "current_epoch": self.current_epoch,
            "global_step": self.global_step,
            "current_lr": max(self.scheduler.get_last_lr()),
            "best_loss": self.best_loss,
            "latest_loss": self.latest_loss,
            "precision": self.precision_effective,
            "augmentation_strength": augmentation.current_strength if augmentation else 0.0,
            "expert_collapse_detected": bool(statistics.get("collapsed", False)),
            "collapse_stats": statistics,
            "global_load_stats": balancer.get_global_statistics() if balancer else {},
        }


def _known(num_experts: int | None) -> int:
    if num_experts is None:
        raise ValueError("Load balancing and collapse detection need num_experts, the experts of a layer; it is None.")
    return num_experts
