"""A linear layer on the frozen features of each pixel, for masks.

What: the backbone's four maps, resized to the finest one at stride 4 and joined; a logistic regression on a sample of
    their pixels, at most half of them of the object, weighted so that the sample counts as all pixels do. The logits
    are resized to the mask.
Source: Hariharan et al., Hypercolumns for Object Segmentation and Fine-grained Localization, CVPR 2015,
    https://arxiv.org/abs/1411.5752 (the joined maps).
Cost: as a linear probe; at most MOST_PIXELS pixels or MOST_NUMBERS numbers are kept.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainable.losses.segmentation import area_resized
from trainable.models.backbones.backbone import Backbone
from trainable.supervision.base import resize_logits
from trainable.supervision.linear_probe import (
    MOST_IMAGES,
    Batches,
    LinearHead,
    LinearProbe,
    Scores,
    fit_heads,
    thin,
)

MOST_PIXELS = 20_000
MOST_NUMBERS = 10_000_000
"""Limit of the numbers in all features of the sample: 40 MB."""


class PixelProbe(LinearProbe):
    """A regression on pixels; the scores are probabilities (B, 1, H, W) at the size of the masks."""

    @classmethod
    def of(cls, model: nn.Module) -> "PixelProbe":
        """Raises ValueError for a network without a backbone of this project."""
        backbone = getattr(model, "backbone", None)
        if not isinstance(backbone, Backbone):
            raise ValueError(f"No linear probe: {type(model).__name__} has no backbone with maps of four strides.")

        def joined_maps(images: Tensor) -> Tensor:
            """Joins all maps at the size of the finest, (B, sum of their channels, h, w)."""
            finest, *coarse = backbone(images)
            size = finest.shape[2:]
            resized_maps = (F.interpolate(one, size=size, mode="bilinear", align_corners=False) for one in coarse)
            return torch.cat([finest, *resized_maps], dim=1)

        return cls(joined_maps)

    def fit(self, train: Batches, num_images: int) -> Sequence[Scores]:
        generator = np.random.default_rng(0)
        kept = min(num_images, MOST_IMAGES)
        features, labels, weights = [], [], []
        for images, masks in thin(train, num_images):
            maps = self.encode(images).float()
            most = min(MOST_PIXELS, MOST_NUMBERS // maps.shape[1])
            objects = area_resized(masks, maps.shape[2:])[:, 0] > 0.5
            for one, is_object in zip(maps.flatten(2), objects.flatten(1).numpy(), strict=True):
                for side in (is_object, ~is_object):
                    rows = np.flatnonzero(side)
                    chosen = generator.permutation(rows)[: max(1, most // kept // 2)]
                    features.append(one[:, chosen].T.numpy())
                    labels.append(np.full(len(chosen), side is is_object, np.int64))
                    weights.append(np.full(len(chosen), len(rows) / max(len(chosen), 1)))
        sample = np.concatenate(weights)
        heads = fit_heads(np.concatenate(features), np.concatenate(labels), 2, sample / sample.mean())
        return [_masks_of(head) for head in heads]


def _masks_of(head: LinearHead) -> Scores:
    def scores(features: Tensor, masks: Tensor) -> Tensor:
        off, on = head(features.movedim(1, -1)).unbind(-1)
        return resize_logits((on - off).unsqueeze(1), masks.shape[-2:]).sigmoid()

    return scores
