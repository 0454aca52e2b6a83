from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from trainable.techniques.augment.fourier_mixing import derangement, fourier_mixing, low_pass

CAMO_IMAGES = Path(__file__).parents[5] / "shared" / "data" / "camo" / "Imgs"
UNBOUNDED = (-1e6, 1e6)


def textures(count: int, height: int = 64, width: int = 64, seed: int = 0) -> torch.Tensor:
    """Random images whose amplitude falls with frequency as in photographs, [B, 3, H, W] in [0, 1]."""
    noise = np.random.default_rng(seed).normal(size=(count, 3, height, width))
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :]
    falling = 1.0 / (np.hypot(rows, columns) + 1.0 / max(height, width))
    images = np.fft.ifft2(np.fft.fft2(noise) * falling).real
    low, high = images.min(axis=(-2, -1), keepdims=True), images.max(axis=(-2, -1), keepdims=True)
    return torch.from_numpy((images - low) / (high - low)).float()


def fine_detail(images: torch.Tensor) -> np.ndarray:
    pixels = images.numpy()
    return pixels - gaussian_filter(pixels, sigma=(0, 0, 1.5, 1.5))


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


# What is kept and what is borrowed.


@pytest.mark.parametrize("mixing", [0.3, 0.8, 1.0])
@pytest.mark.parametrize("blend", ["amplitude", "complex"])
def test_fine_detail_stays_that_of_the_content_image(mixing, blend):
    content, donor = textures(4, 96, 96, seed=1), textures(4, 96, 96, seed=2)
    mixed = fourier_mixing(content, donor, mixing=mixing, blend=blend)
    assert correlation(fine_detail(mixed), fine_detail(content)) > 0.9
    assert abs(correlation(fine_detail(mixed), fine_detail(donor))) < 0.2


def test_fine_detail_of_real_camouflage_photographs_survives():
    if not CAMO_IMAGES.is_dir():
        pytest.skip("the CAMO photographs are not on this machine")
    files = sorted(CAMO_IMAGES.iterdir())[:6]
    photos = [np.asarray(Image.open(file).convert("RGB").resize((160, 160))) for file in files]
    content = torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2).float() / 255
    mixed = fourier_mixing(content, content.roll(1, dims=0), mixing=1.0)
    for before, after in zip(content, mixed, strict=True):
        assert correlation(fine_detail(after[None]), fine_detail(before[None])) > 0.9


def test_a_larger_share_brings_the_colours_closer_to_the_donor():
    content, donor = textures(1, seed=1) * 0.4, textures(1, seed=2) * 0.4 + 0.5
    gap = (donor.mean() - content.mean()).item()
    for mixing in (0.0, 0.25, 0.5, 1.0):
        moved = fourier_mixing(content, donor, mixing=mixing, value_range=UNBOUNDED).mean() - content.mean()
        assert moved.item() == pytest.approx(mixing * gap, abs=1e-4)


@pytest.mark.parametrize("blend", ["amplitude", "complex"])
def test_a_lighter_copy_lends_only_its_light(blend):
    image = textures(2) * 0.5
    mixed = fourier_mixing(image, image + 0.4, mixing=0.5, blend=blend)
    torch.testing.assert_close(mixed, image + 0.2, atol=1e-5, rtol=0)


def test_amplitude_blend_keeps_the_phase_of_the_content_image():
    content, donor = textures(2, seed=1), textures(2, seed=2)
    mixed = fourier_mixing(content, donor, mixing=1.0, value_range=UNBOUNDED)
    before, after = np.fft.rfft2(content.double().numpy()), np.fft.rfft2(mixed.double().numpy())
    turn = np.angle(after / before)
    assert np.abs(turn[np.abs(before) > 1e-2 * np.abs(before).mean()]).max() < 1e-2


# The same numbers by another way.


@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 47), (31, 40), (8, 5)])
def test_equals_the_full_spectrum_in_double_precision(height, width):
    content, donor = textures(2, height, width, seed=1), textures(2, height, width, seed=2)
    spectrum1, spectrum2 = np.fft.fft2(content.double().numpy()), np.fft.fft2(donor.double().numpy())
    rows, columns = np.meshgrid(np.fft.fftfreq(height), np.fft.fftfreq(width), indexing="ij")
    weight = 0.7 * np.exp(-(rows**2 + columns**2) / (0.5 * 0.2**2))
    amplitude = (1 - weight) * np.abs(spectrum1) + weight * np.abs(spectrum2)
    expected = np.fft.ifft2(amplitude * np.exp(1j * np.angle(spectrum1)))
    assert np.abs(expected.imag).max() < 1e-5
    mixed = fourier_mixing(content, donor, mixing=0.7, sigma=0.2, value_range=UNBOUNDED)
    np.testing.assert_allclose(mixed.numpy(), expected.real, atol=1e-5)


def test_a_share_for_each_image_equals_mixing_them_one_by_one():
    content, donor = textures(3, seed=1), textures(3, seed=2)
    shares = torch.tensor([0.1, 0.6, 1.0])
    together = fourier_mixing(content, donor, mixing=shares)
    for index, share in enumerate(shares.tolist()):
        torch.testing.assert_close(together[index], fourier_mixing(content[index], donor[index], mixing=share))


def test_sigma_covers_the_same_part_of_the_spectrum_at_every_resolution():
    area_under_the_weight = np.pi * (0.15 * 0.5 * np.sqrt(2)) ** 2
    for size in (64, 128, 256):
        # Half a spectrum counts its zero column once too often, hence the tolerance of a few columns.
        part = low_pass(size, size, sigma=0.15).mean().item()
        assert part == pytest.approx(area_under_the_weight, rel=4 / size)


def test_a_doubled_resolution_changes_the_picture_in_the_same_way():
    small1, small2 = textures(1, 64, 64, seed=1), textures(1, 64, 64, seed=2)
    large1, large2 = (image.repeat_interleave(2, -1).repeat_interleave(2, -2) for image in (small1, small2))
    narrow = fourier_mixing(large1, large2, mixing=1.0, sigma=0.05, blend="complex")
    wide = fourier_mixing(small1, small2, mixing=1.0, sigma=0.1, blend="complex")
    torch.testing.assert_close(torch.nn.functional.avg_pool2d(narrow, 2), wide, atol=0.02, rtol=0)


# Off, bounds and precision.


@pytest.mark.parametrize("blend", ["amplitude", "complex"])
def test_an_image_mixed_with_itself_or_not_at_all_is_unchanged_to_the_bit(blend):
    images = textures(2, 33, 46)
    assert torch.equal(fourier_mixing(images, images.clone(), mixing=1.0, blend=blend), images)
    assert torch.equal(fourier_mixing(images, images.flip(0), mixing=0.0, blend=blend), images)


def test_the_result_is_finite_and_in_range_for_black_white_and_single_pixel_images():
    black, white, noise = torch.zeros(3, 16, 16), torch.ones(3, 16, 16), torch.rand(3, 16, 16)
    dot = black.clone()
    dot[:, 3, 5] = 1.0
    images = torch.stack([black, white, noise, dot])
    for step in range(4):
        mixed = fourier_mixing(images, images.roll(step, dims=0), mixing=1.0)
        assert torch.isfinite(mixed).all()
        assert mixed.min() >= 0
        assert mixed.max() <= 1


def test_autocast_does_not_lower_the_precision():
    content, donor = textures(2, seed=1), textures(2, seed=2)
    expected = fourier_mixing(content, donor, mixing=0.5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(fourier_mixing(content, donor, mixing=0.5), expected)
    assert fourier_mixing(content.bfloat16(), donor.bfloat16(), mixing=0.5).dtype == torch.bfloat16


# Partners.


@pytest.mark.parametrize("count", [2, 3, 4, 9])
def test_no_image_is_its_own_partner_and_each_is_a_partner_once(count):
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        partners = derangement(count, generator)
        assert (partners != torch.arange(count)).all()
        assert partners.sort().values.tolist() == list(range(count))


def test_partners_vary_from_draw_to_draw():
    generator = torch.Generator().manual_seed(0)
    assert {tuple(derangement(4, generator).tolist()) for _ in range(60)} == {(1, 2, 3, 0), (2, 3, 0, 1), (3, 0, 1, 2)}


def test_a_single_image_is_left_with_itself():
    assert derangement(1, torch.Generator()).tolist() == [0]


# What is refused.


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"images2": torch.rand(2, 3, 8, 9)}, "same shape"),
        ({"sigma": 0.0}, "above 0"),
        ({"blend": "phase"}, "amplitude, complex"),
    ],
)
def test_a_wrong_call_says_what_is_allowed(options, words):
    arguments = {"images1": torch.rand(2, 3, 8, 8), "images2": torch.rand(2, 3, 8, 8), "mixing": 0.5} | options
    with pytest.raises(ValueError, match=words):
        fourier_mixing(**arguments)
