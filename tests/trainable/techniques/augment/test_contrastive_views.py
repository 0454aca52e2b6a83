import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from torchvision.transforms.v2 import functional as tv

from trainable.techniques.augment.contrastive_views import (
    ViewPair,
    adjust_colour,
    contrastive_views,
    gaussian_blur,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images_of(count: int, height: int = 24, width: int = 32) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=seeded(7))


def masks_of(images: torch.Tensor) -> torch.Tensor:
    return (images[:, :1] > 0.5).float()


def views_of(images: torch.Tensor, *, probability: float = 1.0, magnitude: float = 1.0, seed: int = 0) -> ViewPair:
    return contrastive_views(
        images, masks_of(images), probability=probability, magnitude=magnitude, generator=seeded(seed)
    )


# Each change against another implementation.


def test_brightness_scales_as_torchvision_does():
    images, brightness = images_of(3) * 0.6, torch.tensor([0.5, 1.0, 1.5])
    changed = adjust_colour(images, brightness, torch.ones(3))
    for index, factor in enumerate(brightness.tolist()):
        torch.testing.assert_close(changed[index], tv.adjust_brightness(images[index], factor))


def test_contrast_stretches_about_the_mean_of_each_brightened_image():
    images = images_of(3) * 0.5 + 0.2
    brightness, contrast = torch.tensor([1.0, 0.6, 1.3]), torch.tensor([0.5, 1.2, 1.5])
    changed = adjust_colour(images, brightness, contrast)
    torch.testing.assert_close(changed.mean((1, 2, 3)), brightness * images.mean((1, 2, 3)))
    torch.testing.assert_close(changed.std((1, 2, 3)), brightness * contrast * images.std((1, 2, 3)))


@pytest.mark.parametrize(("height", "width"), [(24, 32), (31, 17)])
def test_blur_equals_scipy_with_a_sigma_for_each_image(height, width):
    images, sigma_px = images_of(4, height, width), torch.tensor([0.1, 0.7, 1.3, 2.0])
    blurred = gaussian_blur(images, sigma_px)
    for image, result, sigma in zip(images.double().numpy(), blurred, sigma_px.tolist(), strict=True):
        expected = gaussian_filter(image, sigma=(0, sigma, sigma), radius=(0, 6, 6), mode="mirror")
        np.testing.assert_allclose(result.numpy(), expected, atol=1e-5)


def test_blur_fits_images_smaller_than_its_kernel():
    assert gaussian_blur(images_of(2, 4, 3), torch.tensor([2.0, 2.0])).shape == (2, 3, 4, 3)


def test_only_the_marked_images_are_flipped_and_twice_is_identity():
    images, flipped = images_of(3), torch.tensor([True, False, True])
    pair = ViewPair(images, images, images[:, :1], images[:, :1], flipped)
    once = pair.undo_geometry(images)
    np.testing.assert_array_equal(once[0].numpy(), images[0].numpy()[..., ::-1])
    assert torch.equal(once[1], images[1])
    assert torch.equal(pair.undo_geometry(once), images)


# The pair.


def test_dense_features_of_the_positive_lie_over_those_of_the_anchor_after_undoing():
    images = images_of(16)
    pair = views_of(images, magnitude=0.0)
    assert 0 < pair.flipped.sum() < 16
    assert not torch.equal(pair.positive, images)
    assert torch.equal(pair.undo_geometry(pair.positive), images)
    assert torch.equal(pair.undo_geometry(pair.positive_masks), pair.anchor_masks)
    torch.testing.assert_close(pair.undo_geometry(F.avg_pool2d(pair.positive, 4)), F.avg_pool2d(images, 4))


def test_image_and_mask_of_the_positive_are_flipped_together():
    images = images_of(12)
    pair = views_of(images, magnitude=0.0)
    assert torch.equal(pair.positive_masks, masks_of(pair.positive))


def test_the_anchor_is_the_image_itself_and_nothing_is_written_into_it():
    images = images_of(8)
    before = images.clone()
    pair = views_of(images)
    assert pair.anchor is images
    assert torch.equal(images, before)
    assert torch.equal(pair.anchor_masks, masks_of(before))


def test_gradients_flow_back_through_the_undone_geometry():
    pair = views_of(images_of(6))
    features = torch.rand(6, 2, 6, 8, requires_grad=True)
    pair.undo_geometry(features).sum().backward()
    assert torch.equal(features.grad, torch.ones_like(features))


# Randomness.


def test_copies_of_one_image_become_different_positives():
    copies = images_of(1).expand(8, -1, -1, -1)
    positives = views_of(copies).positive.flatten(1)
    assert torch.cdist(positives, positives).add(torch.eye(8) * 9).min() > 0.1


def test_the_same_generator_gives_the_same_pair_and_another_a_different_one():
    images = images_of(4)
    first, again, other = (views_of(images, seed=seed).positive for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_flips_come_half_as_often_as_the_probability():
    flipped = views_of(torch.zeros(4000, 3, 2, 2), probability=0.6).flipped
    assert flipped.float().mean().item() == pytest.approx(0.3, abs=0.03)


# Strength.


def test_probability_zero_changes_nothing_to_the_bit():
    images = images_of(6)
    pair = views_of(images, probability=0.0)
    assert torch.equal(pair.positive, images)
    assert torch.equal(pair.positive_masks, pair.anchor_masks)
    assert not pair.flipped.any()


def test_a_larger_magnitude_moves_the_positive_further_away():
    images = images_of(64)
    distances = []
    for magnitude in (0.0, 0.3, 0.6, 1.0):
        pair = views_of(images, magnitude=magnitude)
        distances.append((pair.undo_geometry(pair.positive) - images).abs().mean().item())
    assert distances[0] == 0
    assert distances == sorted(distances)
    assert distances[3] > 2 * distances[1]


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 23), (9, 32)])
def test_positives_are_finite_and_in_range_and_their_masks_binary(height, width):
    pair = views_of(images_of(32, height, width).round())
    assert torch.isfinite(pair.positive).all()
    assert pair.positive.min() >= 0
    assert pair.positive.max() <= 1
    assert set(pair.positive_masks.unique().tolist()) <= {0.0, 1.0}


def test_a_single_image_has_a_pair():
    assert views_of(images_of(1)).positive.shape == (1, 3, 24, 32)
