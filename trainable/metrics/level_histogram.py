"""One histogram of a batch from which S, E, F, MAE, IoU and Dice all follow.

What: predictions are compared as 8-bit maps, so an image is fully described by how many pixels of each of 256 levels
lie inside and outside its mask; split into the four quadrants around the mask's centroid, the same counts hold
everything the S-measure asks for. Every metric is then arithmetic on a few hundred numbers per image.
Source: the protocol of the salient and camouflaged object literature, as in PySODMetrics 1.6.2,
https://github.com/lartpang/PySODMetrics: prediction to uint8, stretched to [0, 1] per image.
Cost: one pass over the pixels, shared by all metrics. No host synchronisation on a GPU.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainable.metrics.confusion import Confusion

NUM_LEVELS = 256
_NUM_QUADRANTS = 4
_BINS_PER_IMAGE = _NUM_QUADRANTS * 2 * NUM_LEVELS
# Bins are numbered in 16 bits, half as much to move as in 32; a million pixels stay in the cache.
_MAX_IMAGES_AT_ONCE = 2**15 // _BINS_PER_IMAGE
_PIXELS_AT_ONCE = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelHistogram:
    """Pixel counts of B images, with what each level stands for after the stretch."""

    counts: Tensor
    """Pixels by quadrant (row by row), mask value and level, int64, (B, 4, 2, 256)."""
    by_level: Tensor
    """The same over all quadrants, (B, 2, 256)."""
    values: Tensor
    """The prediction in [0, 1] that a level stands for, float64, (B, 256); meaningless for levels an image lacks."""
    steps: Tensor
    """The same as whole steps above the image's lowest level, float64, (B, 256): their sums are exact."""
    steps_per_unit: Tensor
    """Steps between a prediction of 0 and of 1, float64, (B, 1)."""
    reach: Tensor
    """The lowest probability with its sign changed, the highest, and the same of the masks, float64, (4,): of several
    batches the maxima count. NaN where a probability or a mask was; beyond 1 the counts mean nothing."""

    def at_every_threshold(self) -> Confusion:
        """Decisions `prediction >= t` for t = 0, 1 ... 255 on the stretched 8-bit scale, (B, 256)."""
        bins = (self.values * 255).floor().clamp(0, 255).long().unsqueeze(1).expand_as(self.by_level)
        stretched = torch.zeros_like(self.by_level).scatter_add_(2, bins, self.by_level)
        return _confusion(stretched.flip(2).cumsum(2).flip(2), self.by_level)

    def at_adaptive_threshold(self) -> Confusion:
        """Decisions `prediction >= min(1, twice its mean)`, one per image, (B,)."""
        pixels, total = self.by_level.sum((1, 2)), (self.by_level.sum(1) * self.steps).sum(1)
        chosen = (self.steps * pixels[:, None] >= 2 * total[:, None]) | (self.steps >= self.steps_per_unit)
        return _confusion((self.by_level * chosen[:, None]).sum(2), self.by_level)

    def at_one_half(self) -> Confusion:
        """Decisions of the plain probability at 0.5, before any stretch, (B,)."""
        return _confusion(self.by_level[:, :, NUM_LEVELS // 2 :].sum(2), self.by_level)


def count_levels(probabilities: Tensor, masks: Tensor, *, min_max_normalise: bool = True) -> LevelHistogram:
    """Counts a batch of probabilities in [0, 1] against masks, both (B, 1, H, W); masks count as object above 0.5.

    Args:
        min_max_normalise: stretches each prediction to [0, 1] unless it is constant, as the common protocol does.

    Values outside [0, 1] and NaN land in some bin: who may meet them looks at `reach`, as CamouflageMetrics does.
    """
    _check_shapes(probabilities, masks)
    images = max(1, min(_MAX_IMAGES_AT_ONCE, _PIXELS_AT_ONCE // masks[0].numel()))
    parts = zip(probabilities.split(images), masks.split(images), strict=True)
    # Both look at a part while it is in the cache.
    counts, reaches = zip(*((_counts(*part), _reach(*part)) for part in parts), strict=True)
    return _with_values(torch.cat(counts), torch.stack(reaches).amax(0), min_max_normalise)


def stretched_levels(probabilities: Tensor, histogram: LevelHistogram) -> Tensor:
    """The 8-bit, stretched predictions (B, 1, H, W) behind a histogram, float64."""
    levels = probabilities.float().mul(255).round_().clamp_(0, 255).int()
    levels += NUM_LEVELS * torch.arange(len(levels), dtype=torch.int32, device=levels.device).view(-1, 1, 1, 1)
    return histogram.values.flatten().index_select(0, levels.flatten()).view(probabilities.shape)


def _counts(probabilities: Tensor, masks: Tensor) -> Tensor:
    objects = masks.float().round()
    codes = probabilities.float().mul(255).round_().add_(objects, alpha=NUM_LEVELS)
    # The clamp comes after the cast because that is where NaN becomes a number.
    bins = codes.short().clamp_(0, 2 * NUM_LEVELS - 1)
    for offset in _quadrant_offsets(objects):
        bins += offset
    return _bincount(bins.flatten(), len(bins) * _BINS_PER_IMAGE).view(-1, _NUM_QUADRANTS, 2, NUM_LEVELS)


def _reach(probabilities: Tensor, masks: Tensor) -> Tensor:
    extremes = (-probabilities.amin(), probabilities.amax(), -masks.amin(), masks.amax())
    return torch.stack([value.double() for value in extremes])


def _bincount(bins: Tensor, num_bins: int) -> Tensor:
    if not bins.is_cuda:
        return torch.bincount(bins, minlength=num_bins)
    # On CUDA bincount waits for the device, to learn the largest bin.
    counts = torch.zeros(num_bins, dtype=torch.int64, device=bins.device)
    return counts.scatter_add_(0, bins.long(), counts.new_ones(()).expand_as(bins))


def _quadrant_offsets(objects: Tensor) -> tuple[Tensor, Tensor]:
    """Per row (B, 1, H, 1) and column (B, 1, 1, W), what leads to the first bin of a pixel's image and quadrant."""
    rows, columns = (torch.arange(size, dtype=torch.float64, device=objects.device) for size in objects.shape[2:])
    below = rows >= _split(objects.sum(3).double(), rows)
    right = columns >= _split(objects.sum(2).double(), columns)
    image = torch.arange(len(objects), device=objects.device).view(-1, 1, 1) * _BINS_PER_IMAGE
    by_row, by_column = image + below * (4 * NUM_LEVELS), right * (2 * NUM_LEVELS)
    return by_row.short().unsqueeze(3), by_column.short().unsqueeze(2)


def _split(objects_per_line: Tensor, lines: Tensor) -> Tensor:
    """First line past the mask's centroid, (B, 1, 1); the centroid's own line belongs to the first half."""
    centroid = (objects_per_line * lines).sum(2, keepdim=True) / objects_per_line.sum(2, keepdim=True).clamp(min=1)
    return centroid.round() + 1


def _with_values(counts: Tensor, reach: Tensor, min_max_normalise: bool) -> LevelHistogram:
    levels = torch.arange(NUM_LEVELS, dtype=torch.float64, device=counts.device).expand(len(counts), -1)
    lowest, highest = torch.zeros_like(levels[:, :1]), torch.full_like(levels[:, :1], 255)
    if min_max_normalise:
        used = counts.sum((1, 2)) > 0
        low, high = (torch.where(used, levels, fill) for fill in (highest, lowest))
        low, high = low.amin(1, keepdim=True), high.amax(1, keepdim=True)
        varies = low < high
        lowest, highest = torch.where(varies, low, lowest), torch.where(varies, high, highest)
    # Written as the protocol does it, for the last bit decides into which threshold bin a level falls; and divided by
    # a tensor, for CUDA divides by a number through its reciprocal.
    unit = torch.full_like(lowest, 255)
    values = (levels / unit - lowest / unit) / (highest / unit - lowest / unit)
    return LevelHistogram(
        counts=counts,
        by_level=counts.sum(1),
        values=values,
        steps=levels - lowest,
        steps_per_unit=highest - lowest,
        reach=reach,
    )


def _confusion(chosen: Tensor, by_level: Tensor) -> Confusion:
    """From chosen pixels by mask value, (B, 2) or (B, 2, T)."""
    passed_over = by_level.sum(2).view(len(chosen), 2, *[1] * (chosen.dim() - 2)) - chosen
    return Confusion(
        true_positive=chosen[:, 1].double(),
        false_positive=chosen[:, 0].double(),
        false_negative=passed_over[:, 1].double(),
        true_negative=passed_over[:, 0].double(),
    )


def _check_shapes(probabilities: Tensor, masks: Tensor) -> None:
    if probabilities.shape != masks.shape or masks.dim() != 4 or masks.shape[1] != 1 or not masks.numel():
        raise ValueError(
            f"Probabilities of shape {tuple(probabilities.shape)} and masks of shape {tuple(masks.shape)} were given; "
            "both must be (B, 1, H, W) with at least one image: resize the prediction to its mask first."
        )
