"""Losses and scores of several classifications of one image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from trainable.losses.classification import ClassificationLossConfig
from trainable.losses.loss_weighting import LossWeighting
from trainable.supervision.base import EvaluatedBatch, Forward, Losses, Supervision


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiTaskLossConfig(ClassificationLossConfig):
    """One criterion for all tasks; `class_counts` lists the classes of one task after the other."""

    labelled_shares: tuple[float, ...] = ()
    """Share of the training images that have a label, of each task, in (0, 1]; set from the opened data, none is 1."""

    def criteria(self, num_classes: Sequence[int]) -> list[nn.Module]:
        """Builds each task's loss, weighted by its own classes.

        Raises:
            ValueError: classes are weighted and their counts are not those of these tasks.
        """
        if self.class_weights != "none" and len(self.class_counts) != sum(num_classes):
            raise ValueError(
                f"class_weights is {self.class_weights!r} and class_counts has {len(self.class_counts)} numbers; give "
                f"{sum(num_classes)}, one for each class of each task, or set class_weights to none."
            )
        starts = [sum(num_classes[:task]) for task in range(len(num_classes))]
        counts = [self.class_counts[start : start + own] for start, own in zip(starts, num_classes, strict=True)]
        return [replace(self, class_counts=own).build() for own in counts]


class MultiTaskSupervision(Supervision):
    """Targets are labels (B, T), -1 where one is missing; the model's logits are those of all tasks, (B, K1 + K2 ...).

    A task's loss is its sum over the labelled images, divided by all images and by the share that is labelled in the
    training split. That is the mean over the labelled images of an epoch; unlike a division by the labels of the
    batch it stays exact when micro-batches are accumulated, and a batch without a label of the task gives 0.

    Args:
        num_classes: of each task, by its name.
        weighting: combines the tasks' losses; its parameters and state are saved with the training.
    """

    def __init__(self, num_classes: Mapping[str, int], loss: MultiTaskLossConfig, weighting: LossWeighting) -> None:
        super().__init__()
        self.num_classes = dict(num_classes)
        self.criteria = nn.ModuleList(loss.criteria(list(num_classes.values())))
        self.labelled_shares = loss.labelled_shares or (1.0,) * len(num_classes)
        self.weighting = weighting
        # GradNorm takes the gradient of each task.
        self.repeats_backward = weighting.follows_gradients
        # In a tuple: as an attribute of its own it would become a parameter of this module.
        self._shared: tuple[nn.Parameter, ...] = ()

    def attach(self, model: nn.Module) -> None:
        """Raises ValueError when the weighting needs gradients and the network has no `last_shared_weights`."""
        if not self.weighting.follows_gradients:
            return
        last_shared_weights = getattr(model, "last_shared_weights", None)
        if last_shared_weights is None:
            raise ValueError(
                f"weighting is gradnorm, but {type(model).__name__} has no method last_shared_weights(); add one that "
                "returns the weights of the last layer that all tasks share, or take another weighting."
            )
        self._shared = (last_shared_weights(),)

    def losses(self, forward: Forward, images: Tensor, targets: Tensor) -> Losses:
        """Returns the total, and of each task the loss, accuracy, current weight and, if needed, the gradient norm."""
        output = forward(images)
        means = self._means(output.predictions, targets)
        losses = torch.stack([mean / share for mean, share in zip(means, self.labelled_shares, strict=True)])
        parts = {f"{name}_loss": loss.detach() for name, loss in zip(self.num_classes, losses, strict=True)}
        weights = zip(self.num_classes, self.weighting.effective(), strict=True)
        parts |= {f"{name}_weight": weight for name, weight in weights}
        # Divided as the losses are; a missing label equals no class.
        answered = zip(
            self._split(output.predictions.detach()), targets.unbind(dim=1), self.labelled_shares, strict=True
        )
        right = [(own.argmax(dim=1) == labels).float().mean() / share for own, labels, share in answered]
        parts |= {f"{name}_accuracy": one for name, one in zip(self.num_classes, right, strict=True)}
        parts["mean_accuracy"] = torch.stack(right).mean()
        return Losses(self.weighting(losses), output, parts | self._gradient_norms(losses))

    def evaluate(self, forward: Forward, images: Tensor, targets: Tensor) -> EvaluatedBatch:
        """Scores are the tasks' probabilities; the loss weighs an image's labels equally."""
        logits = forward(images).predictions.float()
        scores = tuple(one.softmax(dim=1) for one in self._split(logits))
        return EvaluatedBatch(logits, scores, {"loss": torch.stack(self._means(logits, targets)).sum()})

    def end_update(self, terms: Mapping[str, float]) -> None:
        """Updates the weights; without gradient norms, while the shared layer is frozen, they stay the same."""
        norms = [terms[name] for task in self.num_classes if (name := f"{task}_gradient_norm") in terms]
        if norms:
            self.weighting.end_update([terms[f"{task}_loss"] for task in self.num_classes], norms)

    def end_epoch(self, means: Mapping[str, float]) -> None:
        self.weighting.end_epoch([means[f"{name}_loss"] for name in self.num_classes])

    def _gradient_norms(self, losses: Tensor) -> dict[str, Tensor]:
        """Norms of each task's gradient at the last shared layer, over a micro-batch or a rank's part of it."""
        shared = [weights for weights in self._shared if weights.requires_grad]
        if not shared:
            return {}
        gradients = [torch.autograd.grad(loss, shared, retain_graph=True)[0] for loss in losses]
        return {
            f"{task}_gradient_norm": gradient.float().norm()
            for task, gradient in zip(self.num_classes, gradients, strict=True)
        }

    def _means(self, logits: Tensor, targets: Tensor) -> list[Tensor]:
        pairs = zip(self.criteria, self._split(logits.float()), targets.unbind(dim=1), strict=True)
        return [criterion(own, labels) for criterion, own, labels in pairs]

    def _split(self, logits: Tensor) -> tuple[Tensor, ...]:
        return logits.split(list(self.num_classes.values()), dim=1)
