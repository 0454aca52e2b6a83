import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from trainable.techniques.augment.mirror_disruption import neighbours_of, places_in, stretch, stretch_mask

HEIGHT, WIDTH = 20, 31
WINDOWS = torch.tensor(
    [
        [3.0, 5.0, 14.0, 21.0],
        [0.0, 9.0, 19.0, 22.0],
        [6.0, 0.0, 14.0, 29.0],
        [0.0, 0.0, 1.0, 1.0],
    ]
)
WHOLE = torch.tensor([[0.0, 0.0, HEIGHT, WIDTH]])
LAYOUTS = {
    "planes": lambda image: image,
    "channels last": lambda image: image.permute(1, 2, 0).contiguous().permute(2, 0, 1),
    "columns first": lambda image: image.transpose(1, 2).contiguous().transpose(1, 2),
}


def image_of(channels: int = 3, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.rand(channels, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(3)).to(dtype)


def places(windows: torch.Tensor = WINDOWS) -> tuple[torch.Tensor, torch.Tensor]:
    tops, lefts, heights, widths = windows.unbind(-1)
    return places_in(tops, heights, HEIGHT), places_in(lefts, widths, WIDTH)


def stretched(image: torch.Tensor, windows: torch.Tensor = WINDOWS) -> list[torch.Tensor]:
    ys, xs = places(windows)
    sides = zip(neighbours_of(ys), neighbours_of(xs, channels=len(image)), strict=True)
    return [stretch(image, down, across) for down, across in sides]


def by_scipy(plane: np.ndarray, window: torch.Tensor, order: int) -> np.ndarray:
    """Values at the centres of the window's parts by SciPy, in double precision."""
    top, left, height, width = window.tolist()
    ys = top + (np.arange(HEIGHT) + 0.5) * height / HEIGHT - 0.5
    xs = left + (np.arange(WIDTH) + 0.5) * width / WIDTH - 0.5
    return map_coordinates(plane, np.meshgrid(ys, xs, indexing="ij"), order=order, mode="nearest")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_an_image_is_sampled_as_scipy_does_whatever_its_order_in_memory(layout, channels):
    image = image_of(channels)
    for window, result in zip(WINDOWS, stretched(LAYOUTS[layout](image)), strict=True):
        expected = [by_scipy(plane, window, order=1) for plane in image.double().numpy()]
        np.testing.assert_allclose(result.numpy(), expected, atol=1e-5)


def test_a_mask_takes_the_nearest_pixels_as_scipy_does():
    mask = (image_of(1) > 0.5).float()
    for window, ys, xs in zip(WINDOWS, *places(), strict=True):
        np.testing.assert_array_equal(stretch_mask(mask, ys, xs)[0].numpy(), by_scipy(mask[0].numpy(), window, order=0))


def test_the_whole_image_as_window_leaves_image_and_mask_as_they_are_to_the_bit():
    image = image_of()
    ys, xs = places(WHOLE)
    assert torch.equal(stretched(image, WHOLE)[0], image)
    assert torch.equal(stretch_mask(image[:1], ys[0], xs[0]), image[:1])


def test_half_a_line_stretched_by_hand():
    places = places_in(torch.tensor([1.0]), torch.tensor([2.0]), 4)
    assert places.tolist() == [[0.75, 1.25, 1.75, 2.25]]
    before, after, share = neighbours_of(places, channels=2)[0]
    assert before.tolist() == [0, 1, 2, 3, 2, 3, 4, 5]
    assert after.tolist() == [2, 3, 4, 5, 4, 5, 6, 7]
    assert share.tolist() == [0.75, 0.75, 0.25, 0.25, 0.75, 0.75, 0.25, 0.25]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_pixels_keep_their_type(dtype):
    result = stretched(image_of(dtype=dtype))[0]
    assert result.dtype == dtype
    torch.testing.assert_close(result.float(), stretched(image_of())[0], atol=2e-2, rtol=0)
