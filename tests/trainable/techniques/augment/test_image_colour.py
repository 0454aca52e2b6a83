import pytest
import torch
from torchvision.transforms import functional as reference

from trainable.techniques.augment.image_colour import LUMA, jitter_colour, posterise, sharpen, solarise, spread_tones

NONE = torch.ones(2)


def muted_images() -> torch.Tensor:
    """Far from black and white, so that nothing is clamped on the way."""
    return 0.35 + 0.3 * torch.rand(2, 3, 8, 10, generator=torch.Generator().manual_seed(1))


def test_brightness_contrast_and_saturation_are_those_of_torchvision_image_by_image():
    images = muted_images()
    brightness, contrast, saturation = torch.tensor([1.2, 0.8]), torch.tensor([0.7, 1.3]), torch.tensor([1.5, 0.0])
    changed = jitter_colour(images, brightness, contrast, saturation, torch.zeros(2))
    for row in range(2):
        expected = reference.adjust_brightness(images[row], brightness[row].item())
        expected = reference.adjust_contrast(expected, contrast[row].item())
        expected = reference.adjust_saturation(expected, saturation[row].item())
        torch.testing.assert_close(changed[row], expected, atol=2e-3, rtol=0)


def test_hue_keeps_luma_and_grey_and_comes_back_after_a_whole_turn():
    images = muted_images()
    turned = jitter_colour(images, NONE, NONE, NONE, torch.tensor([0.15, 1.0]))
    luma = torch.tensor(LUMA)[:, None, None]
    torch.testing.assert_close((turned * luma).sum(1), (images * luma).sum(1), atol=1e-4, rtol=0)
    torch.testing.assert_close(turned[1], images[1], atol=1e-5, rtol=0)
    assert (turned[0] - images[0]).abs().max() > 0.02
    grey = torch.full((2, 3, 4, 4), 0.4)
    torch.testing.assert_close(jitter_colour(grey, NONE, NONE, NONE, torch.tensor([0.3, 0.5])), grey)


def test_a_third_of_a_turn_takes_red_towards_one_primary_and_back():
    red = torch.tensor([0.7, 0.3, 0.3])[:, None, None].expand(1, 3, 2, 2)
    there = jitter_colour(red, NONE[:1], NONE[:1], NONE[:1], torch.tensor([1 / 3]))
    assert there[0, :, 0, 0].argmax() != 0
    back = jitter_colour(there, NONE[:1], NONE[:1], NONE[:1], torch.tensor([-1 / 3]))
    torch.testing.assert_close(back, red, atol=1e-4, rtol=0)


def test_tones_follow_hand_worked_numbers():
    images = torch.tensor([0.0, 0.3, 0.6, 1.0]).view(1, 1, 1, 4).expand(1, 3, 1, 4)
    assert posterise(images, torch.tensor([2.0]))[0, 0, 0].tolist() == [0, 0, 1, 1]
    assert solarise(images, torch.tensor([0.5]))[0, 0, 0].tolist() == pytest.approx([0, 0.3, 0.4, 0])
    dull = 0.2 + 0.5 * images
    torch.testing.assert_close(spread_tones(dull, torch.tensor([1.0])), images)
    torch.testing.assert_close(spread_tones(torch.ones(1, 3, 2, 2), torch.tensor([1.0])), torch.ones(1, 3, 2, 2))


def test_sharpening_raises_the_differences_between_neighbours_and_lowers_them_below_zero():
    images = muted_images()[:1]
    spread = [sharpen(images, torch.tensor([amount])).std().item() for amount in (-0.5, 0.0, 0.5)]
    assert spread == sorted(spread)
    torch.testing.assert_close(sharpen(images, torch.zeros(1)), images)
