import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from trainable.techniques.augment.pixel_range import PixelRange

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def test_a_normalised_image_comes_back_to_unit_range_and_returns():
    images = torch.rand(2, 3, 8, 8)
    stored = tv.normalize(images, list(MEAN), list(STD))
    pixels = PixelRange.normalised(MEAN, STD)
    torch.testing.assert_close(pixels.to_unit(stored), images)
    torch.testing.assert_close(pixels.from_unit(images), stored)


@pytest.mark.parametrize(("low", "high"), [(0.0, 255.0), (-1.0, 1.0)])
def test_the_ends_of_a_range_are_black_and_white(low, high):
    pixels = PixelRange.between(low, high)
    stored = torch.tensor([low, high]).expand(3, 1, 2)
    assert pixels.to_unit(stored)[0, 0].tolist() == [0.0, 1.0]
    torch.testing.assert_close(pixels.from_unit(pixels.to_unit(stored)), stored)


def test_a_range_that_is_none_is_refused():
    with pytest.raises(ValueError, match="low must be below high"):
        PixelRange.between(1.0, 0.0)
    with pytest.raises(ValueError, match="one of each per channel"):
        PixelRange.normalised(MEAN, STD[:2])
    with pytest.raises(ValueError, match="above 0"):
        PixelRange.normalised(MEAN, (0.2, 0.0, 0.2))
