import io

import pytest
import torch

from trainable import CODProgressiveAugmentation
from trainable.techniques.augment.augmentation_settings import AugmentationSettings
from trainable.techniques.augment.pixel_range import PixelRange

TYPES = ("fourier", "contrastive", "mirror")
FULL = {"initial_strength": 1.0, "max_strength": 1.0}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch_of(count: int, height: int = 24, width: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    images = 0.1 + 0.8 * torch.rand(count, 3, height, width, generator=seeded(7))
    return images, (images[:, :1] > 0.5).float()


def at_strength(strength: float, seed: int = 0, **options) -> CODProgressiveAugmentation:
    return CODProgressiveAugmentation(strength, max(strength, 0.8), generator=seeded(seed), **options)


def changed(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    return (before != after).flatten(1).any(dim=1)


# Off.


@pytest.mark.parametrize("kind", ["random", *TYPES])
def test_strength_zero_is_identity_to_the_bit(kind):
    images, masks = batch_of(6)
    for pixel_range in (None, PixelRange.between(-1.0, 1.0)):
        after, masks_after = at_strength(0.0, pixel_range=pixel_range).apply(images, masks, kind)
        assert torch.equal(after, images)
        assert torch.equal(masks_after, masks)


def test_views_at_strength_zero_are_twice_the_same_image():
    images, masks = batch_of(4)
    anchor, positive, anchor_masks, positive_masks = at_strength(0.0).contrastive_augmentation(images, masks)
    assert torch.equal(anchor, positive)
    assert torch.equal(anchor_masks, positive_masks)


@pytest.mark.parametrize("kind", TYPES)
def test_a_type_with_probability_zero_changes_nothing(kind):
    images, masks = batch_of(6)
    settings = AugmentationSettings(**{f"p_{kind}": 0.0})
    after, masks_after = CODProgressiveAugmentation(**FULL, settings=settings).apply(images, masks, kind)
    assert torch.equal(after, images)
    assert torch.equal(masks_after, masks)


# Effects.


@pytest.mark.parametrize("kind", ["random", *TYPES])
def test_a_higher_strength_changes_more(kind):
    images, masks = batch_of(200, 12, 12)
    moved = []
    for strength in (0.1, 0.4, 0.8):
        after, _ = at_strength(strength).apply(images, masks, kind)
        moved.append((after != images).float().mean().item())
    assert moved == sorted(moved)
    assert moved[0] > 0
    assert moved[2] > 3 * moved[0]


@pytest.mark.parametrize("kind", ["fourier", "mirror"])
def test_the_share_of_changed_images_is_probability_times_strength(kind):
    images, masks = batch_of(1500, 6, 6)
    settings = AugmentationSettings(p_fourier=0.5, p_mirror=0.5)
    after, _ = at_strength(0.8, settings=settings).apply(images, masks, kind)
    assert changed(images, after).float().mean().item() == pytest.approx(0.4, abs=0.05)


def test_fourier_magnitude_and_probability_are_apart():
    images, masks = batch_of(400, 8, 8)
    often_weak = AugmentationSettings(magnitude_fourier=0.1)
    seldom_strong = AugmentationSettings(p_fourier=0.1)
    weak, strong = (
        CODProgressiveAugmentation(**FULL, settings=settings).apply(images, masks, "fourier")[0]
        for settings in (often_weak, seldom_strong)
    )
    assert changed(images, weak).float().mean() > 0.95
    assert changed(images, strong).float().mean() < 0.2
    assert (weak - images).abs().max() < 0.5 * (strong - images).abs().max()


def test_strength_limits_how_much_light_changes():
    images = torch.full((300, 3, 4, 4), 0.4)
    for strength in (0.2, 1.0):
        light = at_strength(strength).views(images, images[:, :1]).positive.mean(dim=(1, 2, 3)) / 0.4
        assert (light - 1.0).abs().max().item() == pytest.approx(0.5 * strength, rel=0.1)


def test_strength_limits_how_much_a_crop_cuts_off():
    rows = torch.linspace(0.0, 1.0, 64)[:, None].expand(400, 3, 64, 32)
    for strength in (0.4, 1.0):
        seen, _ = at_strength(strength).apply(rows, torch.zeros(400, 1, 64, 32), "mirror")
        shortest = (seen.amax(dim=(1, 2, 3)) - seen.amin(dim=(1, 2, 3))).min().item()
        assert shortest == pytest.approx(0.95 - 0.25 * strength, abs=0.03)


def test_one_random_batch_holds_every_type():
    images, masks = batch_of(300, 16, 12)
    counts = {}
    for kind in TYPES:
        others_off = {f"p_{other}": 0.0 for other in TYPES if other != kind}
        augmentation = CODProgressiveAugmentation(**FULL, settings=AugmentationSettings(**others_off))
        counts[kind] = changed(images, augmentation.apply(images, masks)[0]).float().mean().item()
    assert counts == pytest.approx(dict.fromkeys(TYPES, 1 / 3), abs=0.1)


def test_mixing_never_pairs_an_image_with_itself():
    images, masks = batch_of(2)
    augmentation = CODProgressiveAugmentation(**FULL)
    for _ in range(20):
        assert changed(images, augmentation.apply(images, masks, "fourier")[0]).all()


def test_a_single_image_has_no_partner_and_stays_as_it_is():
    images, masks = batch_of(1)
    augmentation = CODProgressiveAugmentation(**FULL, pixel_range=PixelRange.between(-1.0, 1.0))
    assert torch.equal(augmentation.apply(images, masks, "fourier")[0], images)


def test_mixing_leaves_the_masks_alone():
    images, masks = batch_of(8)
    assert CODProgressiveAugmentation(**FULL).apply(images, masks, "fourier")[1] is masks


def test_documented_fourier_mixing_keeps_the_first_mask_and_heeds_alpha():
    images, masks = batch_of(4)
    others, other_masks = images.flip(0), masks.flip(0)
    augmentation = CODProgressiveAugmentation()
    half, mask = augmentation.fourier_based_mixing(images, others, masks, other_masks, alpha=0.5)
    assert mask is masks
    means = (half - images).mean(dim=(1, 2, 3))
    torch.testing.assert_close(means, 0.5 * (others - images).mean(dim=(1, 2, 3)), atol=2e-3, rtol=0)
    drawn, _ = augmentation.fourier_based_mixing(images, others, masks, other_masks)
    assert changed(images, drawn).all()
    single, _ = augmentation.fourier_based_mixing(images[0], others[0], masks[0], other_masks[0])
    assert single.shape == (3, 24, 24)


def test_views_know_how_to_lie_over_each_other():
    images, masks = batch_of(32)
    pair = CODProgressiveAugmentation(**FULL).views(images, masks)
    assert pair.anchor is images
    assert 0 < pair.flipped.sum() < 32
    assert torch.equal(pair.undo_geometry(pair.positive_masks), masks)


# Any batch.


@pytest.mark.parametrize("kind", ["random", *TYPES])
@pytest.mark.parametrize("shape", [(1, 24, 24), (5, 24, 36), (4, 17, 23)])
def test_any_batch_comes_back_finite_in_range_and_with_binary_masks(kind, shape):
    images, masks = batch_of(*shape)
    before = images.clone(), masks.clone()
    augmentation = CODProgressiveAugmentation(**FULL)
    for _ in range(5):
        after, masks_after = augmentation.apply(images, masks, kind)
        assert after.shape == images.shape
        assert torch.isfinite(after).all()
        assert after.min() >= 0
        assert after.max() <= 1
        assert set(masks_after.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(images, before[0])
    assert torch.equal(masks, before[1])


@pytest.mark.parametrize("kind", ["random", *TYPES])
def test_channels_last_images_are_augmented_alike_and_keep_their_order_in_memory(kind):
    images, masks = batch_of(8)
    plain, _ = at_strength(0.8).apply(images, masks, kind)
    other, _ = at_strength(0.8).apply(images.to(memory_format=torch.channels_last), masks, kind)
    torch.testing.assert_close(plain, other)
    assert other.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kind", ["random", *TYPES])
@pytest.mark.parametrize(
    "pixel_range", [PixelRange.normalised((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), PixelRange.between(0, 255)]
)
def test_normalised_images_are_augmented_as_if_they_were_not(kind, pixel_range):
    images, masks = batch_of(8)
    expected, expected_masks = at_strength(0.8).apply(images, masks, kind)
    stored, stored_masks = at_strength(0.8, pixel_range=pixel_range).apply(pixel_range.from_unit(images), masks, kind)
    torch.testing.assert_close(pixel_range.to_unit(stored), expected, atol=1e-5, rtol=0)
    assert torch.equal(stored_masks, expected_masks)


# Repeatability.


@pytest.mark.parametrize("kind", ["random", *TYPES])
def test_the_generator_alone_decides(kind):
    images, masks = batch_of(6)
    first, *_ = at_strength(0.8, seed=1).apply(images, masks, kind)
    torch.rand(7)
    again, *_ = at_strength(0.8, seed=1).apply(images, masks, kind)
    other, *_ = at_strength(0.8, seed=2).apply(images, masks, kind)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_global_random_state_is_left_alone():
    before = torch.get_rng_state()
    at_strength(0.8).apply(*batch_of(6))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_saved_state_continues_where_it_stopped():
    batch = batch_of(6)
    running = CODProgressiveAugmentation(generator=seeded(3))
    running.update_epoch(24.5)
    running.apply(*batch)
    file = io.BytesIO()
    torch.save(running.state_dict(), file)
    file.seek(0)
    resumed = CODProgressiveAugmentation()
    resumed.load_state_dict(torch.load(file, weights_only=True))
    assert (resumed.current_epoch, resumed.current_strength) == (24.5, running.current_strength)
    for _ in range(3):
        assert torch.equal(resumed.apply(*batch)[0], running.apply(*batch)[0])


def test_loading_keeps_the_settings_of_the_object_that_loads():
    saved = CODProgressiveAugmentation(max_strength=0.8)
    saved.update_epoch(50)
    current = CODProgressiveAugmentation(max_strength=0.5)
    current.load_state_dict(saved.state_dict())
    assert current.current_strength == 0.5


# Subclasses.


class WithBlackout(CODProgressiveAugmentation):
    """Adds a type, as the module says."""

    def augmentations(self):
        return super().augmentations() | {"blackout": self.black_out}

    def black_out(self, images, masks, selected):
        hit = selected & (torch.rand(len(images), generator=self.generator) < 0.9 * self.current_strength)
        return torch.where(hit[:, None, None, None], 0.0, images), masks


class WithOwnApply(CODProgressiveAugmentation):
    """Overrides `apply`, as the documents' example does."""

    def apply(self, images, masks, augmentation_type="random"):
        images, masks = super().apply(images, masks, augmentation_type)
        if torch.rand((), generator=self.generator) < 0.3 * self.current_strength:
            images = 1.0 - images
        return images, masks


def test_a_type_that_a_subclass_adds_is_drawn_and_known_by_name():
    images, masks = batch_of(200, 8, 8)
    black = lambda batch: (batch == 0).flatten(1).all(dim=1).float().mean().item()  # noqa: E731
    augmentation = WithBlackout(**FULL)
    assert black(augmentation.apply(images, masks)[0]) == pytest.approx(0.9 / 4, abs=0.1)
    assert black(augmentation.apply(images, masks, "blackout")[0]) == pytest.approx(0.9, abs=0.08)


def test_a_subclass_may_override_apply():
    images, masks = batch_of(2, 8, 8)
    augmentation = WithOwnApply(**FULL, settings=AugmentationSettings(p_fourier=0, p_contrastive=0, p_mirror=0))
    inverted = [not torch.equal(augmentation.apply(images, masks)[0], images) for _ in range(300)]
    assert sum(inverted) / 300 == pytest.approx(0.3, abs=0.1)


# What is refused.


def test_an_unknown_type_lists_the_known_ones():
    with pytest.raises(ValueError, match="'random', fourier, contrastive, mirror"):
        CODProgressiveAugmentation().apply(*batch_of(2), "fourrier")


@pytest.mark.parametrize("method", ["apply", "views", "mirror_disruption"])
@pytest.mark.parametrize(
    ("images", "masks"),
    [
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.zeros(2, 1, 8, 8)),
        (torch.zeros(2, 3, 8, 8), torch.zeros(2, 8, 8)),
        (torch.zeros(2, 3, 8, 8), torch.zeros(2, 1, 8, 9)),
        (torch.zeros(2, 3, 8, 8), torch.zeros(3, 1, 8, 8)),
    ],
)
def test_a_batch_of_another_kind_is_refused(method, images, masks):
    with pytest.raises(ValueError, match="convert and resize in the loader"):
        getattr(CODProgressiveAugmentation(), method)(images, masks)


class OnAnotherDevice:
    """A state that lies on a GPU, as far as a CPU generator can tell."""

    def __init__(self, state) -> None:
        self._state = state

    def cpu(self):
        return self._state


def test_random_streams_come_back_from_a_checkpoint_that_was_mapped_to_a_gpu():
    augmentation = CODProgressiveAugmentation()
    state = augmentation.state_dict()
    expected = torch.rand(3, generator=augmentation.generator)
    augmentation.load_state_dict({**state, "generator": OnAnotherDevice(state["generator"])})
    assert torch.equal(torch.rand(3, generator=augmentation.generator), expected)
