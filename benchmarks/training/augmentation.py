"""Images per second through each augmentation, batch 16 at 352 x 352, one thread, beside a Fourier transform of them.

The transform, one rfft2 and one irfft2 of the same batch, is what the Fourier mixing can't do without, and a measure of
the machine for the others. "As trained" draws as the trainer does at the strength at the end of its ramp; "every image"
is the most expensive case, probability and magnitude 1.
"""

import torch
from torch import Tensor

from benchmarks.claims import OURS, Claim, sides_of
from benchmarks.harness import Measure, Size, Spread, interleaved, ratios, seconds_of
from trainable.techniques.augment.progressive_augmentation import CODProgressiveAugmentation

BATCH = 16
MIN_RATES = {"fourier": 0.6, "contrastive": 1.3, "mirror": 3.1}
"""Least ratio of images per second to those of the transform on several processors. The highest were 1.4, 4 and 9."""
TRANSFORM = "rfft2 + irfft2"


def measure(size: Size) -> list[Claim]:
    """One claim for each type."""
    images, masks = _batch(size.pick(352, 32))
    floor = seconds_of(lambda: torch.fft.irfft2(torch.fft.rfft2(images), s=images.shape[-2:]), calls=size.pick(3, 1))
    return [_claim(kind, images, masks, floor, size) for kind in MIN_RATES]


def _claim(kind: str, images: Tensor, masks: Tensor, floor: Measure, size: Size) -> Claim:
    as_trained = CODProgressiveAugmentation(0.8, 0.8)
    every_image = CODProgressiveAugmentation(1.0, 1.0)
    calls = size.pick(5, 1)
    sides = {
        TRANSFORM: floor,
        OURS: seconds_of(lambda: as_trained.apply(images, masks, kind), calls=calls),
        "ours, every image": seconds_of(lambda: every_image.apply(images, masks, kind), calls=calls),
    }
    numbers = interleaved(sides, rounds=size.rounds)
    rates = {name: [BATCH / seconds for seconds in own] for name, own in numbers.items()}
    rate = Spread.of(ratios(rates[OURS], rates[TRANSFORM])).median
    return Claim(
        number=3,
        work=f"augmentation, {kind}, 16 images of {images.shape[-1]} px",
        unit="images/s",
        sides=sides_of(rates),
        reference=TRANSFORM,
        target=f"at least {MIN_RATES[kind]} times",
        finding=f"{rate:.2f} times the images/s of one rfft2 + irfft2, as trained (strength .8)",
        reached=rate >= MIN_RATES[kind],
    )


def _batch(side: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(BATCH, 3, side, side, generator=generator).to(memory_format=torch.channels_last)
    rows = torch.arange(side)
    disc = ((rows[:, None] - side // 2) ** 2 + (rows - side // 3) ** 2 < (side // 4) ** 2).float()
    return images, disc.expand(BATCH, 1, side, side).contiguous()
