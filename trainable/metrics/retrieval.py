"""How well one view of an image finds the other one among those of all images of a split.

What: cosine similarities of the features of all first and all second views; each view asks for its partner among the
views of the other kind. Chance is 1 in N. Unlike a contrastive loss it means the same whatever the temperature and the
batch were; with other views it means something else.
Source: the instance retrieval of Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination",
CVPR 2018, https://arxiv.org/abs/1805.01978.
Cost: one product of N x N cosines.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from trainable.metrics.collected import CollectedBatches
from trainable.metrics.probes import standardise

METRIC_NAMES = ("mean_reciprocal_rank", "retrieval_accuracy")


class RetrievalMetrics(CollectedBatches):
    """Accumulates features (B, 2, D) of both views; the targets are not read."""

    collects = ("features",)

    def update(self, scores: Tensor, targets: object) -> None:
        self.collect(scores)

    def compute(self) -> dict[str, float]:
        (features,) = self.collected()
        ranks = partner_ranks(*features.unbind(dim=1))
        return {
            "mean_reciprocal_rank": float((1 / ranks).mean()),
            "retrieval_accuracy": float((ranks == 1).float().mean()),
        }


def partner_ranks(first: Tensor, second: Tensor) -> Tensor:
    """Rank of each view's partner among the N views of the other kind, 1 is the nearest; shape (2 N,).

    Args:
        first: features (N, D); row by row those of the same images as `second`.
    """
    first, second = (F.normalize(one, dim=1) for one in standardise(first, second))
    cosines = first @ second.T
    partners = cosines.diagonal()
    # Equals count half: features that are all alike find nothing.
    before = [
        (cosines > own).sum(dim=axis) + ((cosines == own).sum(dim=axis) - 1) / 2
        for axis, own in ((1, partners[:, None]), (0, partners[None]))
    ]
    return 1 + torch.cat(before)
