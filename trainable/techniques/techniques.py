"""Every technique of the training loop, in one typed value; `Trainer` calls each of them.

A task makes its own from a configuration, `build_trainer` adds what all workloads share, and the trainer takes them
whole. Accumulation, precision and schedule are no part of it: no training is without one of each. Early stopping, the
best epoch and the end of a lasting collapse are no part of it either: they are `TrainingRun`'s, which has the epochs.
"""

from dataclasses import dataclass

from trainable.techniques.augment.batch_augmentation import BatchAugmentation
from trainable.techniques.contrastive_term import ContrastiveTerm
from trainable.techniques.experts.collapse_response import CollapseResponse
from trainable.techniques.experts.expert_collapse import ExpertCollapseDetector
from trainable.techniques.experts.load_balance import GlobalBatchLoadBalancer
from trainable.techniques.optim.averaging import WeightAverage
from trainable.techniques.optim.unfreezing import GradualUnfreezing

STATELESS = ("unfreezing", "max_grad_norm", "z_loss_weight")
"""These have no state to save: they follow from the configuration and the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Techniques:
    """The techniques of a trainer; None is off."""

    augmentation: BatchAugmentation | None = None
    """Augmentation of training batches, on the device."""
    contrastive: ContrastiveTerm | None = None
    load_balancer: GlobalBatchLoadBalancer | None = None
    collapse_detector: ExpertCollapseDetector | None = None
    collapse_response: CollapseResponse | None = None
    """Acts after each epoch on what the detector found."""
    z_loss_weight: float = 0.0
    """Weight of the router's z-loss, 0 is off."""
    max_grad_norm: float | None = None
    """The gradient of a whole update is clipped to this norm."""
    unfreezing: GradualUnfreezing | None = None
    averaging: WeightAverage | None = None
    """Average of the model's weights, built once the model is on its device."""

    def __post_init__(self) -> None:
        if self.collapse_response is not None and self.collapse_detector is None:
            raise ValueError("A collapse_response needs a collapse_detector; give one, or leave the response out.")
