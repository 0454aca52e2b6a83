"""Weights of several tasks' losses in one total: equal, fixed, learned from uncertainty, a dynamic average or GradNorm.

What: "uncertainty" learns a log-variance s for each task, total = sum of `c exp(-s) L + s / 2`, with c = 1 for a
classification and 1/2 for a regression. At its optimum a task weighs 1 / (2 L): the task with the larger loss, the
harder one, gets less. That total has no lower bound, so it is neither a stopping criterion nor an objective.
"dynamic" gives more weight to the task whose loss fell least between the last two epochs. "gradnorm" moves the weights
after every update towards equal gradient norms at the last shared layer, larger ones for tasks that learn slowly.
Source: Kendall, Gal and Cipolla, Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry and
Semantics, CVPR 2018, https://arxiv.org/abs/1705.07115 (the constant for a classification is that of its equation 7);
Liu, Johns and Davison, End-to-End Multi-Task Learning with Attention, CVPR 2019, https://arxiv.org/abs/1803.10704
(the dynamic average); Chen et al., GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep Multitask
Networks, ICML 2018, https://arxiv.org/abs/1711.02257.
Cost: a few scalars per step; of GradNorm a backward pass from each task to the last shared layer, of a compiled network
to its input.
Off: `weighting="equal"`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from trainable.configuration.fields import unknown_name
from trainable.device_copy import sent_to

WEIGHTINGS = ("equal", "fixed", "uncertainty", "dynamic", "gradnorm")
CLASSIFICATION, REGRESSION = 1.0, 0.5
"""The constant c of an uncertainty weight, by the kind of task."""
LARGEST_LOG_VARIANCE = 5.0
"""Bound of a learned log-variance, either way: a task never weighs more than e to this, nor less than 1 over it."""
GRADNORM_ALPHA, GRADNORM_RATE = 1.5, 0.025
"""GradNorm's alpha for dissimilar tasks, from the paper, and its learning rate of the weights."""
LEAST_WEIGHT = 0.01
"""Lower bound of GradNorm's weights: at 0 a task would have no gradient and stay at 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossWeightingConfig:
    """How the losses of the tasks are combined."""

    weighting: str = "uncertainty"
    """equal, fixed, uncertainty, dynamic or gradnorm."""
    fixed_weights: tuple[float, ...] | None = None
    """One weight for each task, > 0, in the order of the tasks; given with weighting=fixed and only then."""
    weighting_temperature: float = 2.0
    """Temperature of the dynamic average, > 0; higher values make the weights more equal."""
    gradnorm_alpha: float | None = None
    """alpha of gradnorm, 0 or more: 0 makes all gradient norms equal, a high one favours slow tasks; None: 1.5."""

    def __post_init__(self) -> None:
        if self.weighting not in WEIGHTINGS:
            raise ValueError(unknown_name("weighting", self.weighting, WEIGHTINGS))
        if (self.weighting == "fixed") != (self.fixed_weights is not None):
            raise ValueError(
                f"weighting is {self.weighting} and fixed_weights {self.fixed_weights}; the two go together: "
                "give one weight for each task with weighting=fixed, and none otherwise."
            )
        if self.fixed_weights is not None and not all(0 < weight < math.inf for weight in self.fixed_weights):
            raise ValueError(f"fixed_weights is {self.fixed_weights}; each must be positive.")
        if not 0 < self.weighting_temperature < math.inf:
            raise ValueError(f"weighting_temperature is {self.weighting_temperature}; it must be positive.")
        if self.gradnorm_alpha is not None and not 0 <= self.gradnorm_alpha < math.inf:
            raise ValueError(f"gradnorm_alpha is {self.gradnorm_alpha}; it must be 0 or more, or none for 1.5.")

    def build(self, scales: Sequence[float]) -> "LossWeighting":
        """The weighting of as many tasks as there are scales, each CLASSIFICATION or REGRESSION.

        Raises:
            ValueError: there are more or fewer fixed weights than tasks.
        """
        if self.weighting == "uncertainty":
            return UncertaintyWeighting(scales)
        if self.weighting == "dynamic":
            return DynamicAverageWeighting(len(scales), temperature=self.weighting_temperature)
        if self.weighting == "gradnorm":
            alpha = GRADNORM_ALPHA if self.gradnorm_alpha is None else self.gradnorm_alpha
            return GradNormWeighting(len(scales), alpha=alpha)
        fixed = self.fixed_weights or (1.0,) * len(scales)
        if len(fixed) != len(scales):
            raise ValueError(f"fixed_weights has {len(fixed)} weights; there are {len(scales)} tasks, give as many.")
        return FixedWeighting(fixed)


def uncertainty_total(losses: Tensor, log_variances: Tensor, scales: Tensor) -> Tensor:
    """The total of the tasks' losses, all three arguments of shape (T,), in fp32."""
    return (scales * torch.exp(-log_variances) * losses.float() + log_variances / 2).sum()


class LossWeighting(nn.Module, ABC):
    """Maps the losses of T tasks, shape (T,), to their total; its state is in parameters and buffers."""

    follows_gradients: ClassVar[bool] = False
    """Whether `end_update` needs the norm of each task's gradient."""

    @abstractmethod
    def forward(self, losses: Tensor) -> Tensor:
        """The total, a scalar with its gradient."""

    @abstractmethod
    def effective(self) -> Tensor:
        """Current weight of each task's loss, shape (T,), detached."""

    def end_update(self, losses: Sequence[float], norms: Sequence[float]) -> None:
        """Receives each task's loss in an optimizer update, and its gradient norm at the last shared layer."""

    def end_epoch(self, losses: Sequence[float]) -> None:
        """Receives the mean loss of each task after a training epoch."""


class WeightedSum(LossWeighting):
    """Weights of a buffer."""

    weights: Tensor

    def forward(self, losses: Tensor) -> Tensor:
        return (self.weights * losses.float()).sum()

    def effective(self) -> Tensor:
        return self.weights.clone()


class FixedWeighting(WeightedSum):
    """Constant weights; equal ones are the simplest baseline."""

    def __init__(self, weights: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("weights", torch.tensor(weights), persistent=False)


class UncertaintyWeighting(LossWeighting):
    """Learned log-variances. They are parameters, so the optimizer must hold them, in a group that never decays."""

    scales: Tensor

    def __init__(self, scales: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("scales", torch.tensor(scales), persistent=False)
        self.raw_log_variances = nn.Parameter(torch.zeros(len(scales)))

    @property
    def log_variances(self) -> Tensor:
        """Log-variances, bounded by a tanh: outside a hard clamp there is no gradient to bring a variance back."""
        return LARGEST_LOG_VARIANCE * torch.tanh(self.raw_log_variances.float() / LARGEST_LOG_VARIANCE)

    def forward(self, losses: Tensor) -> Tensor:
        return uncertainty_total(losses, self.log_variances, self.scales)

    def effective(self) -> Tensor:
        return (self.scales * torch.exp(-self.log_variances)).detach()


class DynamicAverageWeighting(WeightedSum):
    """Equal weights for the first two epochs, then those of the dynamic average, T in their sum."""

    last_losses: Tensor

    def __init__(self, num_tasks: int, *, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.register_buffer("weights", torch.ones(num_tasks))
        self.register_buffer("last_losses", torch.full((num_tasks,), math.nan))

    @torch.no_grad()
    def end_epoch(self, losses: Sequence[float]) -> None:
        """Updates the weights, unless a task has no loss in this epoch (without labels, or fully learned)."""
        now = sent_to(self.weights.device, torch.tensor(losses))
        have_all_losses = bool((self.last_losses > 0).all()) and bool((now > 0).all())
        if have_all_losses:
            slowness = now / self.last_losses / self.temperature
            self.weights.copy_(len(now) * torch.softmax(slowness, dim=0))
        self.last_losses.copy_(now)


class GradNormWeighting(WeightedSum):
    """Equal weights at first; a task's first loss is that of the first update in which every task has one."""

    follows_gradients = True
    first_losses: Tensor

    def __init__(self, num_tasks: int, *, alpha: float) -> None:
        super().__init__()
        self.alpha = alpha
        self.register_buffer("weights", torch.ones(num_tasks))
        self.register_buffer("first_losses", torch.full((num_tasks,), math.nan))

    @torch.no_grad()
    def end_update(self, losses: Sequence[float], norms: Sequence[float]) -> None:
        """One step of gradient descent on GradNorm's own loss; T is the sum of the weights.

        With G = weights * norms, and r each task's loss as a share of its first one, over the mean of these shares,
        that loss is the sum of |G - mean(G) * r^alpha|, with mean(G) and r as constants. Its gradient has a closed
        form: the norm times the sign of the term in the bars. An update in which some task has no label or no gradient
        leaves the weights as they are.

        Args:
            losses: unweighted.
            norms: of the gradient of each of them with respect to the last shared layer.
        """
        if min(losses) <= 0 or min(norms) <= 0:
            return
        now, norm = sent_to(self.weights.device, torch.tensor([losses, norms]))
        self.first_losses.copy_(torch.where(self.first_losses.isnan(), now, self.first_losses))
        pulls, progress = self.weights * norm, now / self.first_losses
        wanted = pulls.mean() * (progress / progress.mean()) ** self.alpha
        moved = (self.weights - GRADNORM_RATE * norm * torch.sign(pulls - wanted)).clamp_min(LEAST_WEIGHT)
        self.weights.copy_(len(moved) * moved / moved.sum())
