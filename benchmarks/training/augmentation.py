"""Images per second through each augmentation, batch 16 at 352 x 352, one thread.

The lower bound of the Fourier mixing is its own transform: one rfft2 and one irfft2. "As trained" draws as the trainer
does at the strength at the end of its ramp; "every image" is the most expensive case, probability and magnitude 1.
"""

import torch
from torch import Tensor

from benchmarks.claims import OURS, Claim, sides_of
from benchmarks.harness import Measure, Size, Spread, interleaved, seconds_of
from trainable.techniques.augment.progressive_augmentation import CODProgressiveAugmentation

BATCH = 16
TARGETS = {"fourier": 180, "contrastive": 700, "mirror": 2000}
SEEN_UNBATCHED = {"fourier": 49, "contrastive": 180, "mirror": 446}
"""Images a second of an unbatched implementation, as seen before; not measured here."""


def measure(size: Size) -> list[Claim]:
    """One claim for each type."""
    images, masks = _batch(size.pick(352, 32))
    floor = seconds_of(lambda: torch.fft.irfft2(torch.fft.rfft2(images), s=images.shape[-2:]), calls=size.pick(3, 1))
    return [_claim(kind, images, masks, floor, size) for kind in TARGETS]


def _claim(kind: str, images: Tensor, masks: Tensor, floor: Measure, size: Size) -> Claim:
    as_trained = CODProgressiveAugmentation(0.8, 0.8)
    every_image = CODProgressiveAugmentation(1.0, 1.0)
    calls = size.pick(5, 1)
    sides = {
        "rfft2 + irfft2": floor,
        OURS: seconds_of(lambda: as_trained.apply(images, masks, kind), calls=calls),
        "ours, every image": seconds_of(lambda: every_image.apply(images, masks, kind), calls=calls),
    }
    numbers = interleaved(sides, rounds=size.rounds)
    rates = {name: [BATCH / seconds for seconds in own] for name, own in numbers.items()}
    rate = Spread.of(rates[OURS]).median
    return Claim(
        number=3,
        work=f"augmentation, {kind}, 16 images of {images.shape[-1]} px",
        unit="images/s",
        sides=sides_of(rates),
        reference="rfft2 + irfft2",
        target=f"{TARGETS[kind]} images/s",
        finding=f"{rate:.0f} images/s as trained (strength .8); unbatched code once seen {SEEN_UNBATCHED[kind]}",
        reached=rate >= TARGETS[kind],
    )


def _batch(side: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(BATCH, 3, side, side, generator=generator).to(memory_format=torch.channels_last)
    rows = torch.arange(side)
    disc = ((rows[:, None] - side // 2) ** 2 + (rows - side // 3) ** 2 < (side // 4) ** 2).float()
    return images, disc.expand(BATCH, 1, side, side).contiguous()
