"""One histogram of a batch from which S, E, F, MAE, IoU and Dice all follow.

What: predictions are compared as 8-bit maps, so an image is fully described by how many pixels of each of 256 levels
lie inside and outside its mask; split into the four quadrants around the mask's centroid, the same counts hold
everything the S-measure asks for. Every metric is then arithmetic on a few hundred numbers per image.
Source: the protocol of the salient and camouflaged object literature, as in PySODMetrics 1.6.2,
https://github.com/lartpang/PySODMetrics: prediction to uint8, stretched to [0, 1] per image.
Cost: one pass over the pixels, shared by all metrics. No host synchronisation on a GPU.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import torch
from torch import Tensor

from trainable.metrics.confusion import Confusion

NUM_LEVELS = 256
EVERY_THRESHOLD, ADAPTIVE, ONE_HALF = slice(NUM_LEVELS), NUM_LEVELS, NUM_LEVELS + 1
"""Index of each kind among the decisions of an image."""
_NUM_QUADRANTS = 4
_BINS_PER_IMAGE = _NUM_QUADRANTS * 2 * NUM_LEVELS
# Adding to a number waits for what was just added to it, so neighbouring columns count in sets of their own, summed at
# the end. The eight spare bins keep the sets' equal bins from driving each other out of the cache.
_NUM_SETS = 4
_BINS_PER_SET = _BINS_PER_IMAGE + 8
# Three images of 352 px stay in the cache, and their bins are numbered in 16 bits, half as much to move as 32.
_PIXELS_AT_ONCE = 3 * 2**17
_MAX_IMAGES_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelHistogram:
    """Pixel counts of B images, with what each level stands for after the stretch; all float64, counts exact."""

    counts: Tensor
    """Pixels by quadrant (row by row), mask value and level, (B, 4, 2, 256)."""
    by_level: Tensor
    """The same over all quadrants, (B, 2, 256)."""
    values: Tensor
    """The prediction in [0, 1] that a level stands for, (B, 256); meaningless for levels an image lacks."""
    steps: Tensor
    """The same as whole steps above the image's lowest level, (B, 256): their sums are exact."""
    steps_per_unit: Tensor
    """Steps between a prediction of 0 and of 1, (B, 1)."""

    @classmethod
    def of_counts(cls, counts: Tensor, *, min_max_normalise: bool = True) -> Self:
        """Builds the histogram from the counts of `count_pixels`.

        Args:
            min_max_normalise: stretches each prediction to [0, 1] unless it is constant, as the common protocol does.
        """
        counts = counts.double()
        by_level = counts.sum(1)
        levels = torch.arange(NUM_LEVELS, dtype=torch.float64, device=counts.device)
        lowest, highest = _stretch(by_level.sum(1) > 0, levels, min_max_normalise)
        # Written as the protocol does it, for the last bit decides into which threshold bin a level falls; and divided
        # by a tensor, for CUDA divides by a number through its reciprocal.
        unit = torch.full_like(lowest, 255)
        return cls(
            counts=counts,
            by_level=by_level,
            values=(levels / unit - lowest / unit) / (highest / unit - lowest / unit),
            steps=levels - lowest,
            steps_per_unit=highest - lowest,
        )

    def decisions(self) -> Confusion:
        """The pixels chosen as object, (B, 258).

        `prediction >= t` for t = 0, 1 ... 255 on the stretched 8-bit scale; `prediction >= min(1, twice its mean)`;
        and the plain probability at 0.5, before any stretch.
        """
        bins = (self.values * 255).floor().clamp(0, 255).long().unsqueeze(1).expand_as(self.by_level)
        stretched = torch.zeros_like(self.by_level).scatter_add_(2, bins, self.by_level)
        at_each_threshold = stretched.flip(2).cumsum(2).flip(2)
        all_pixels = self.by_level.sum(1)
        count, total = all_pixels.sum(1, keepdim=True), (all_pixels * self.steps).sum(1, keepdim=True)
        is_above = (self.steps * count >= 2 * total) | (self.steps >= self.steps_per_unit)
        adaptive = (self.by_level * is_above[:, None]).sum(2, keepdim=True)
        half = self.by_level[:, :, NUM_LEVELS // 2 :].sum(2, keepdim=True)
        chosen = torch.cat([at_each_threshold, adaptive, half], dim=2)
        not_chosen = self.by_level.sum(2, keepdim=True) - chosen
        return Confusion(
            true_positive=chosen[:, 1],
            false_positive=chosen[:, 0],
            false_negative=not_chosen[:, 1],
            true_negative=not_chosen[:, 0],
        )


def count_pixels(probabilities: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Counts a batch of probabilities in [0, 1] against masks, both (B, 1, H, W); masks count as object above 0.5.

    Returns:
        The counts by quadrant, mask value and level, int64, (B, 4, 2, 256). And the reach, float64, (4,): the lowest
        probability with its sign changed, the highest, and the same of the masks; of several batches the maxima count.

    Values outside [0, 1] and NaN fall into some bin; a caller that may have them checks the reach, as CamouflageMetrics
    does.
    """
    if probabilities.shape != masks.shape or masks.dim() != 4 or masks.shape[1] != 1 or not masks.numel():
        raise ValueError(
            f"Probabilities of shape {tuple(probabilities.shape)} and masks of shape {tuple(masks.shape)} were given; "
            "both must be (B, 1, H, W) with at least one image: resize the prediction to its mask first."
        )
    # A GPU is limited by the number of operations, a CPU by its cache.
    fitting = _MAX_IMAGES_AT_ONCE if masks.is_cuda else max(1, _PIXELS_AT_ONCE // masks[0].numel())
    images = min(_MAX_IMAGES_AT_ONCE, fitting)
    parts = zip(probabilities.split(images), masks.split(images), strict=True)
    counts, extremes = [], []
    for some, their_masks in parts:
        extremes += [*some.aminmax(), *their_masks.aminmax()]
        counts.append(_counts(some, their_masks))
    lowest, highest = torch.stack(extremes).double().view(-1, 2, 2).unbind(2)
    return torch.cat(counts), torch.stack([-lowest.amin(0), highest.amax(0)], dim=1).flatten()


def count_levels(probabilities: Tensor, masks: Tensor, *, min_max_normalise: bool = True) -> LevelHistogram:
    """The histogram of one batch, without its reach."""
    counts, _ = count_pixels(probabilities, masks)
    return LevelHistogram.of_counts(counts, min_max_normalise=min_max_normalise)


def stretched_levels(probabilities: Tensor, histogram: LevelHistogram) -> Tensor:
    """The 8-bit, stretched predictions (B, 1, H, W) behind a histogram, float64."""
    levels = probabilities.float().mul(255).round_().clamp_(0, 255).int()
    levels += NUM_LEVELS * torch.arange(len(levels), dtype=torch.int32, device=levels.device).view(-1, 1, 1, 1)
    return histogram.values.flatten().index_select(0, levels.flatten()).view(probabilities.shape)


def _counts(probabilities: Tensor, masks: Tensor) -> Tensor:
    objects = masks.float().round()
    codes = probabilities.float().mul(255).round_().add_(objects, alpha=NUM_LEVELS)
    num_bins = len(masks) * _NUM_SETS * _BINS_PER_SET
    # Only so many bits are kept after the cast, because that is where NaN becomes a number.
    bins = codes.to(torch.int16 if num_bins <= 2**15 else torch.int32).bitwise_and_(2 * NUM_LEVELS - 1)
    for offset in _offsets(objects):
        bins += offset.to(bins.dtype)
    if bins.is_cuda:
        # There bincount waits for the device, to learn the largest bin.
        counts = torch.zeros(num_bins, dtype=torch.int64, device=bins.device)
        counts.scatter_add_(0, bins.flatten().long(), counts.new_ones(()).expand(bins.numel()))
    else:
        counts = torch.bincount(bins.flatten(), minlength=num_bins)
    sets = counts.view(-1, _NUM_SETS, _BINS_PER_SET)
    return sets[..., :_BINS_PER_IMAGE].sum(1).view(-1, _NUM_QUADRANTS, 2, NUM_LEVELS)


def _offsets(objects: Tensor) -> tuple[Tensor, Tensor]:
    """Offsets per row (B, 1, H, 1) and column (B, 1, 1, W) to the first bin of a pixel's set and quadrant."""
    per_row, per_column = objects.sum(3).double(), objects.sum(2).double()
    total = per_row.sum(2, keepdim=True).clamp(min=1)
    past_centroid = []
    for per_line in (per_row, per_column):
        # The centroid's own line belongs to the first half.
        lines = _lines(per_line.shape[2], objects.device)
        past_centroid.append(lines > ((per_line * lines).sum(2, keepdim=True) / total).round())
    by_row, by_column = past_centroid[0] * (4 * NUM_LEVELS), past_centroid[1] * (2 * NUM_LEVELS)
    by_column += _first_bins(len(objects), objects.shape[3], objects.device)
    return by_row.unsqueeze(3), by_column.unsqueeze(2)


@lru_cache(maxsize=8)
def _lines(number: int, device: torch.device) -> Tensor:
    return torch.arange(number, dtype=torch.float64, device=device)


@lru_cache(maxsize=8)
def _first_bins(images: int, width: int, device: torch.device) -> Tensor:
    """Index of the first bin of each image's column, (B, 1, W)."""
    image, column = torch.arange(images, device=device).view(-1, 1, 1), torch.arange(width, device=device)
    return (image * _NUM_SETS + column % _NUM_SETS) * _BINS_PER_SET


def _stretch(used: Tensor, levels: Tensor, min_max_normalise: bool) -> tuple[Tensor, Tensor]:
    """Levels that become 0 and 1, (B, 1) each, from the levels that an image uses, (B, 256)."""
    lowest, highest = levels.new_zeros(len(used), 1), levels.new_full((len(used), 1), 255)
    if not min_max_normalise:
        return lowest, highest
    low, high = (torch.where(used, levels, fill) for fill in (highest, lowest))
    low, high = low.amin(1, keepdim=True), high.amax(1, keepdim=True)
    varies = low < high
    return torch.where(varies, low, lowest), torch.where(varies, high, highest)
