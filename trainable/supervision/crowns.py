"""Losses and scores of crown mapping: detections and three maps from one network."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from trainable.losses.crowns import CELL_PX, TREES_PER, VOID, CrownLossConfig, CrownTarget, map_losses
from trainable.metrics.crowns import CrownScores
from trainable.models.crown_net import CrownOutput
from trainable.models.output import ModelOutput
from trainable.supervision.base import EvaluatedBatch, Forward, Losses, Supervision
from trainable.supervision.trivial import TrivialPredictor

CROWN_DRAWS = 5


class CrownSupervision(Supervision):
    """The weighted sum of the four terms; the scores do not depend on the weights."""

    def __init__(self, config: CrownLossConfig) -> None:
        super().__init__()
        self.config = config

    def losses(self, forward: Forward, images: Tensor, targets: Sequence[CrownTarget]) -> Losses:
        # Read once: each read of a flag would wait for the device.
        has_instances = torch.stack([target["has_instances"] for target in targets]).tolist()
        order = sorted(range(len(targets)), key=lambda row: not has_instances[row])
        images, targets = images[order], [targets[row] for row in order]
        annotated = targets[: sum(has_instances)]
        output = as_crown_output(forward(images, annotated))
        share = len(annotated) / len(targets)
        terms = {
            "instance": images.new_zeros(()) + share * sum(output.instance_losses.values()),
            **map_losses(output, targets),
        }
        total = sum(getattr(self.config, f"{name}_weight") * term for name, term in terms.items())
        return Losses(total, output, {f"{name}_loss": term for name, term in terms.items()})

    def evaluate(self, forward: Forward, images: Tensor, targets: Sequence[CrownTarget]) -> EvaluatedBatch:
        output = as_crown_output(forward(images))
        terms = map_losses(output, targets)
        losses = {
            "loss": sum(terms.values(), start=images.new_zeros(())),
            **{f"{name}_loss": term for name, term in terms.items()},
        }
        return EvaluatedBatch(output.predictions, crown_scores(output), losses)


def crown_scores(output: CrownOutput) -> CrownScores:
    """Predictions of each image: the most likely class, and a crown where its probability is above 0.5."""
    return CrownScores(
        detections=output.detections,
        semantic=output.predictions.argmax(dim=1),
        crown=output.crown_logits > 0,
        num_trees=output.density.sum(dim=(1, 2)) * (CELL_PX**2 / TREES_PER),
    )


def as_crown_output(output: ModelOutput) -> CrownOutput:
    """Returns the output as CrownOutput; raises TypeError for another network."""
    if not isinstance(output, CrownOutput):
        raise TypeError(f"The model returned {type(output).__name__}; crown mapping needs a CrownOutput.")
    return output


def no_crowns(num_trees: float) -> TrivialPredictor:
    """Predicts no crowns, soil everywhere, and the mean number of trees of a training image."""

    def scores(targets: Sequence[CrownTarget]) -> CrownScores:
        height, width = targets[0]["semantic"].shape
        nothing = {
            "boxes": torch.zeros(0, 4),
            "labels": torch.zeros(0, dtype=torch.int64),
            "scores": torch.zeros(0),
            "masks": torch.zeros(0, height, width, dtype=torch.bool),
        }
        return CrownScores(
            detections=[nothing for _ in targets],
            semantic=torch.zeros(len(targets), height, width, dtype=torch.int64),
            crown=torch.zeros(len(targets), height, width, dtype=torch.bool),
            num_trees=torch.full((len(targets),), num_trees),
        )

    return TrivialPredictor("no crowns", scores)


def crowns_of_others(drawn: Callable[[], CrownTarget]) -> TrivialPredictor:
    """Predicts for each image the annotations of a training image with crowns, which `drawn` chooses."""

    def scores(targets: Sequence[CrownTarget]) -> CrownScores:
        others = [drawn() for _ in targets]
        detections = [
            {name: other[name] for name in ("boxes", "labels")}
            | {"scores": torch.ones(len(other["labels"])), "masks": other["masks"].bool()}
            for other in others
        ]
        semantic = torch.stack([other["semantic"] for other in others])
        return CrownScores(
            detections=detections,
            semantic=semantic.masked_fill(semantic == VOID, 0),
            crown=torch.stack([other["masks"].bool().any(dim=0) for other in others]),
            num_trees=torch.tensor([float(len(other["labels"])) for other in others]),
        )

    return TrivialPredictor("the crowns of another image", scores, CROWN_DRAWS)
