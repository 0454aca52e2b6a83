"""Each image moves by itself; where it moves to is checked on images whose colours are their own coordinates."""

import pytest
import torch
import torch.nn.functional as F
from torchvision.transforms import functional as reference

from trainable.techniques.augment import image_warp
from trainable.techniques.augment.image_warp import bent_grid, warp

HEIGHT, WIDTH = 24, 36
ASPECT = WIDTH / HEIGHT
INSIDE = (slice(None), slice(None), slice(8, 16), slice(8, 28))


def random_images(count: int, height: int = HEIGHT, width: int = WIDTH) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(3))


def smooth_images(count: int) -> torch.Tensor:
    return F.interpolate(random_images(count, 4, 6), size=(HEIGHT, WIDTH), mode="bicubic")


def test_an_image_that_does_not_move_keeps_its_very_pixels_and_the_input_is_not_written_to():
    images = random_images(3)
    before = images.clone()
    moves = image_warp.rotation(torch.tensor([0.0, 40.0, 0.0]))
    moved = warp(images, moves)
    assert torch.equal(images, before)
    assert torch.equal(moved[[0, 2]], before[[0, 2]])
    assert not torch.equal(moved[1], before[1])


def test_a_quarter_turn_of_a_square_and_a_flip_are_those_of_torch():
    square = random_images(2, 16, 16)
    turned = warp(square, image_warp.rotation(torch.tensor([90.0, -90.0])))
    torch.testing.assert_close(turned[0], square[0].rot90(1, (-2, -1)), atol=1e-5, rtol=0)
    torch.testing.assert_close(turned[1], square[1].rot90(-1, (-2, -1)), atol=1e-5, rtol=0)
    images = random_images(2)
    flipped = warp(images, image_warp.flip(torch.tensor([True, False])))
    torch.testing.assert_close(flipped[0], images[0].flip(-1), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("moves", "affine"),
    [
        (image_warp.rotation(torch.tensor([12.0])), {"angle": -12.0}),
        (image_warp.scaling(torch.tensor([1.2])), {"scale": 1.2}),
        (image_warp.shift(torch.tensor([2 / WIDTH]), torch.tensor([-1 / HEIGHT]), ASPECT), {"translate": [2, -1]}),
        (image_warp.shear(torch.tensor([8.0]), torch.tensor([0.0])), {"shear": [8.0, 0.0]}),
    ],
    ids=["rotation", "scale", "shift", "shear"],
)
def test_moves_are_those_of_torchvision_also_when_the_image_is_not_square(moves, affine):
    images = smooth_images(1)
    settings = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]} | affine
    expected = reference.affine(images, **settings, interpolation=reference.InterpolationMode.BILINEAR)
    torch.testing.assert_close(warp(images, moves)[INSIDE], expected[INSIDE], atol=2e-3, rtol=0)


def test_a_crop_shows_its_part_of_the_image_stretched_to_the_whole():
    images = smooth_images(1)
    moves = image_warp.crop(torch.tensor([0.5]), torch.tensor([[1.0, -1.0]]), ASPECT)
    part = images[:, :, : HEIGHT // 2, WIDTH // 2 :]
    expected = F.interpolate(part, size=(HEIGHT, WIDTH), mode="bilinear", align_corners=False)
    torch.testing.assert_close(warp(images, moves)[INSIDE], expected[INSIDE], atol=1e-5, rtol=0)


def test_a_bent_grid_moves_places_by_what_its_nodes_say():
    images = smooth_images(2)
    nodes = torch.zeros(2, 2, 5, 5)
    nodes[0, 0] = 2.0 / HEIGHT
    bent = warp(images, torch.eye(3).repeat(2, 1, 1), bent_grid(nodes, (HEIGHT, WIDTH)))
    torch.testing.assert_close(bent[0, :, :, :-1], images[0, :, :, 1:], atol=1e-5, rtol=0)
    assert torch.equal(bent[1], images[1])
