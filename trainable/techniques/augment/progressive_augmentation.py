"""Progressive augmentation for camouflaged objects: weak at first, stronger later in training.

What: three augmentations (`fourier_mixing`, `contrastive_views`, `mirror_disruption`) under one strength that stays at
`initial_strength`, rises linearly over `transition_duration` epochs and stays at `max_strength`. One rule says what
strength does: every probability and every magnitude is its own setting times the current strength. At strength 0 a
batch comes back untouched. `apply(..., "random")` draws one type for each image, so one batch holds all of them.
Source: strength that follows training: Bengio et al., "Curriculum Learning", ICML 2009,
https://doi.org/10.1145/1553374.1553380; each augmentation names its own.
Cost: images of 352 x 352 a second of CPU time on one core (AMD EPYC, batch 16) at strength 0.3 and 0.8: Fourier 680 and
230, contrastive 1500 and 770, mirror 4400 and 2000, one type drawn for each image 650 and 400.
Off: no augmentation object, strength 0, or `p_<type>=0` for one type.

A type of your own: subclass, and add a function of (images, masks, selected [B] bool on the CPU) to `augmentations()`;
or override `apply` and call `super().apply` in it. Draw random numbers from `self.generator`: its state is saved.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trainable.configuration.share_of_epochs import share_of_epochs
from trainable.techniques.augment.augmentation_settings import (
    AugmentationSettings,
    check_ramp,
)
from trainable.techniques.augment.batch_augmentation import RampedAugmentation, sent, with_rows
from trainable.techniques.augment.contrastive_views import ViewPair, contrastive_views
from trainable.techniques.augment.fourier_mixing import derangement, fourier_mixing
from trainable.techniques.augment.mirror_disruption import mirror_disruption
from trainable.techniques.augment.pixel_range import PixelRange, check_unit_range

Augmentation = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
DEFAULT_SETTINGS = AugmentationSettings()


class CODProgressiveAugmentation(RampedAugmentation):
    """Fourier mixing, contrastive views and mirror disruption at a strength that follows the epoch.

    Args:
        settings: probability and magnitude of each type at strength 1.
        pixel_range: how the loader's values relate to [0, 1]; None when they are in it.
        generator: on the CPU, one for each process with a seed of its own; a new one with seed 0 when None.
    """

    def __init__(
        self,
        initial_strength: float = 0.3,
        max_strength: float = 0.8,
        transition_epoch: float = 20,
        transition_duration: float = 10,
        *,
        settings: AugmentationSettings = DEFAULT_SETTINGS,
        pixel_range: PixelRange | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        check_ramp(initial_strength, max_strength)
        if transition_epoch < 0 or transition_duration < 0:
            raise ValueError(
                f"transition_epoch is {transition_epoch} and transition_duration {transition_duration} epochs, but "
                "neither can be below 0: give the epochs before the ramp and those it takes; 0 for a step."
            )
        super().__init__(
            initial_strength,
            max_strength,
            transition_epoch,
            transition_duration,
            generator=generator or torch.Generator().manual_seed(0),
        )
        self.settings = settings
        self.pixel_range = pixel_range

    def augmentations(self) -> dict[str, Augmentation]:
        """The types that `apply` knows by name and draws from; a subclass adds its own."""
        return {"fourier": self._mix_with_partners, "contrastive": self._make_views, "mirror": self._mirror}

    def apply(self, images: Tensor, masks: Tensor, augmentation_type: str = "random") -> tuple[Tensor, Tensor]:
        """Images [B, 3, H, W] and masks [B, 1, H, W] after one type of augmentation, or one drawn for each image.

        The inputs are never written to.

        Raises:
            ValueError: no such type, shapes that do not fit, or a first batch outside the range of pixels.
        """
        _check_batch(images, masks)
        # Once, because reading pixels waits for the device.
        if not self._has_seen_pixels and self.pixel_range is None:
            check_unit_range(images)
        self._has_seen_pixels = True
        types = self.augmentations()
        if augmentation_type not in ("random", *types):
            raise ValueError(f"augmentation_type is {augmentation_type!r}, but must be 'random', {', '.join(types)}.")
        if self.current_strength == 0:
            return images, masks
        if augmentation_type != "random":
            return types[augmentation_type](images, masks, torch.ones(len(images), dtype=torch.bool))
        drawn = torch.randint(len(types), (len(images),), generator=self.generator)
        for index, augment in enumerate(types.values()):
            selected = drawn == index
            if selected.any():
                images, masks = augment(images, masks, selected)
        return images, masks

    def fourier_based_mixing(
        self, img1: Tensor, img2: Tensor, mask1: Tensor, mask2: Tensor, alpha: float | Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """`img1` [..., 3, H, W] with a share `alpha` of the low frequencies of `img2`, drawn for each image when None.

        The mask is `mask1`: its object stays where it is, and nothing of `mask2`'s comes in.
        """
        if alpha is None:
            largest = self._scaled(self.settings.magnitude_fourier)
            alpha = largest * torch.rand(img1.shape[:-3], generator=self.generator)
        content, partner = self._to_unit(img1), self._to_unit(img2)
        mixed = fourier_mixing(content, partner, mixing=alpha, sigma=self.settings.fourier_sigma)
        return self._from_unit(mixed), mask1

    def contrastive_augmentation(self, images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Anchor, positive, anchor masks, positive masks: `views`, without the means to align dense features."""
        pair = self.views(images, masks)
        return pair.anchor, pair.positive, pair.anchor_masks, pair.positive_masks

    def views(self, images: Tensor, masks: Tensor) -> ViewPair:
        """Two views of each image, for a loss that compares them."""
        _check_batch(images, masks)
        pair = contrastive_views(
            self._to_unit(images),
            masks,
            probability=self._scaled(self.settings.p_contrastive),
            magnitude=self._scaled(self.settings.magnitude_contrastive),
            generator=self.generator,
        )
        return replace(pair, anchor=images, positive=self._from_unit(pair.positive))

    def mirror_disruption(self, images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Some images mirrored, some of those cropped off-centre, with their masks."""
        _check_batch(images, masks)
        return self._mirror(images, masks, torch.ones(len(images), dtype=torch.bool))

    def _scaled(self, setting: float) -> float:
        return setting * self.current_strength

    def _mix_with_partners(self, images: Tensor, masks: Tensor, selected: Tensor) -> tuple[Tensor, Tensor]:
        count = len(images)
        chance = torch.rand(count, generator=self.generator)
        mixing = self._scaled(self.settings.magnitude_fourier) * torch.rand(count, generator=self.generator)
        partners = derangement(count, self.generator)
        mixed = selected & (chance < self._scaled(self.settings.p_fourier)) & (partners != torch.arange(count))
        if not mixed.any():
            return images, masks
        rows = mixed.nonzero().squeeze(1)
        content, partner = (images.index_select(0, sent(which, images)) for which in (rows, partners[rows]))
        mixed_images, _ = self.fourier_based_mixing(content, partner, masks, masks, mixing[rows])
        return with_rows(images, rows.tolist(), mixed_images), masks

    def _make_views(self, images: Tensor, masks: Tensor, selected: Tensor) -> tuple[Tensor, Tensor]:
        rows = selected.nonzero().squeeze(1)
        on_device = sent(rows, images)
        # Indexing keeps the order of bytes in memory; `index_select` would lose it, and to change it takes its time.
        pair = self.views(images[on_device], masks[on_device])
        return with_rows(images, rows.tolist(), pair.positive), with_rows(masks, rows.tolist(), pair.positive_masks)

    def _mirror(self, images: Tensor, masks: Tensor, selected: Tensor) -> tuple[Tensor, Tensor]:
        return mirror_disruption(
            images,
            masks,
            probability=self._scaled(self.settings.p_mirror) * selected,
            magnitude=self._scaled(self.settings.magnitude_mirror),
            generator=self.generator,
        )

    def _to_unit(self, images: Tensor) -> Tensor:
        return images if self.pixel_range is None else self.pixel_range.to_unit(images)

    def _from_unit(self, images: Tensor) -> Tensor:
        return images if self.pixel_range is None else self.pixel_range.from_unit(images)


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentationConfig(AugmentationSettings):
    """Progressive augmentation with its schedule as parts of the planned training, so that it fits any length."""

    initial_strength: float = 0.3
    """Strength until the ramp, in [0, max_strength]."""
    max_strength: float = 0.8
    """Strength after the ramp, in [0, 1]."""
    start_fraction: float = 0.2
    """Part of the planned epochs before the ramp, in [0, 1]."""
    ramp_fraction: float = 0.1
    """Part of the planned epochs that the ramp takes; start and ramp together are at most 1."""

    def __post_init__(self) -> None:
        AugmentationSettings.__post_init__(self)
        check_ramp(self.initial_strength, self.max_strength, self.start_fraction, self.ramp_fraction)

    def build(self, max_epochs: int, seed: int) -> CODProgressiveAugmentation:
        """The augmentation of a training planned for `max_epochs`, with a random stream of its own."""
        return CODProgressiveAugmentation(
            self.initial_strength,
            self.max_strength,
            share_of_epochs(self.start_fraction, max_epochs),
            share_of_epochs(self.ramp_fraction, max_epochs),
            settings=self,
            generator=torch.Generator().manual_seed(seed),
        )


def _check_batch(images: Tensor, masks: Tensor) -> None:
    matching = images.dim() == masks.dim() == 4 and len(images) == len(masks) and images.shape[-2:] == masks.shape[-2:]
    if not (matching and images.is_floating_point()):
        raise ValueError(
            f"augmentation got images {images.dtype} {tuple(images.shape)} and masks {tuple(masks.shape)}; it takes "
            "float images [B, 3, H, W] and masks [B, 1, H, W] of the same size: convert and resize in the loader."
        )
