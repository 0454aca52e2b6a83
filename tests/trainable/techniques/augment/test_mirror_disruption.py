import pytest
import torch

from trainable.techniques.augment.batch_augmentation import change_rows
from trainable.techniques.augment.mirror_disruption import (
    MIRRORS,
    draw_crops,
    first_crop_with_the_object,
    mirror_disruption,
)

INVOLUTIONS = ("horizontal", "vertical", "both", "diagonal", "anti_diagonal")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images_of(count: int, height: int = 24, width: int = 24) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=seeded(7))


def masks_of(images: torch.Tensor) -> torch.Tensor:
    return (images[:, :1] > 0.5).float()


def disrupted(images, masks=None, *, probability=1.0, magnitude=1.0, seed=0):
    masks = masks_of(images) if masks is None else masks
    return mirror_disruption(images, masks, probability=probability, magnitude=magnitude, generator=seeded(seed))


def mirrored(images: torch.Tensor, name: str) -> torch.Tensor:
    return change_rows(images, dict.fromkeys(range(len(images)), MIRRORS[name]))


# Mirrors.


@pytest.mark.parametrize("name", INVOLUTIONS)
def test_a_mirror_applied_twice_is_the_image_to_the_bit(name):
    images = images_of(3)
    once = mirrored(images, name)
    assert not torch.equal(once, images)
    assert torch.equal(mirrored(once, name), images)


def test_four_quarter_turns_are_the_image_to_the_bit():
    images = turned = images_of(2)
    for _ in range(4):
        turned = mirrored(turned, "quarter_turn")
    assert torch.equal(turned, images)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("horizontal", [[2, 1], [4, 3]]),
        ("vertical", [[3, 4], [1, 2]]),
        ("both", [[4, 3], [2, 1]]),
        ("diagonal", [[1, 3], [2, 4]]),
        ("anti_diagonal", [[4, 2], [3, 1]]),
        ("quarter_turn", [[2, 4], [1, 3]]),
    ],
)
def test_each_mirror_by_hand(name, expected):
    image = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    assert mirrored(image, name)[0, 0].tolist() == expected


def test_a_shape_that_is_not_square_never_meets_a_diagonal():
    images = images_of(40, 16, 24)
    changed, masks = disrupted(images)
    assert changed.shape == images.shape
    assert masks.shape == (40, 1, 16, 24)
    assert (changed != images).flatten(1).any(dim=1).all()


def test_every_mirror_turns_up_in_a_square_batch():
    images = images_of(1, 8, 8).expand(400, -1, -1, -1)
    changed, _ = disrupted(images, magnitude=0.0)
    expected = {name: mirrored(images[:1], name) for name in MIRRORS}
    counts = {name: (changed == result).flatten(1).all(dim=1).sum().item() for name, result in expected.items()}
    assert min(counts.values()) > 10


# Crops.


def test_crops_keep_70_to_95_percent_at_full_magnitude_and_lie_inside_the_image():
    crops = draw_crops(500, 200, 100, magnitude=1.0, generator=seeded())[:-1].reshape(-1, 4)
    tops, lefts, heights, widths = crops.unbind(-1)
    kept = heights / 200
    assert kept.min() == pytest.approx(0.70, abs=0.01)
    assert kept.max() == pytest.approx(0.95, abs=0.01)
    assert kept.mean() == pytest.approx(0.825, abs=0.01)
    assert min(tops.min(), lefts.min()) == 0
    assert (tops + heights).max() == 200
    assert (lefts + widths).max() == 100


def test_a_smaller_magnitude_keeps_more():
    heights = [draw_crops(500, 200, 200, magnitude=m, generator=seeded())[:-1, :, 2] for m in (0.0, 0.4, 1.0)]
    assert [round(height.min().item()) for height in heights] == [190, 170, 140]


def test_a_crop_without_the_object_is_drawn_again_and_at_last_given_up():
    mask = torch.zeros(1, 1, 20, 20)
    mask[..., 18:, 18:] = 1.0
    miss, hit, whole = [0.0, 0.0, 15.0, 15.0], [4.0, 4.0, 16.0, 16.0], [0.0, 0.0, 20.0, 20.0]
    choose = lambda *crops: first_crop_with_the_object(mask, torch.tensor(crops)[:, None])[0].tolist()  # noqa: E731
    assert choose(miss, miss, hit, whole) == hit
    assert choose(miss, miss, miss, whole) == whole


def test_an_image_without_an_object_takes_the_first_crop():
    crops = draw_crops(3, 20, 20, magnitude=1.0, generator=seeded())
    assert torch.equal(first_crop_with_the_object(torch.zeros(3, 1, 20, 20), crops), crops[0])


def test_a_small_object_in_a_corner_is_never_lost():
    images, masks = images_of(600), torch.zeros(600, 1, 24, 24)
    masks[..., 22:, 22:] = 1.0
    _, changed = disrupted(images, masks)
    assert (changed.sum(dim=(1, 2, 3)) > 0).all()


# Image and mask together.


@pytest.mark.parametrize(("height", "width"), [(40, 40), (41, 33), (32, 48)])
def test_image_and_mask_stay_aligned(height, width):
    xs = torch.linspace(0, 1, width).expand(60, 1, height, width)
    ys = torch.linspace(0, 1, height)[:, None].expand(60, 1, height, width)
    images = torch.cat([ys, xs, ys * xs], dim=1).contiguous()
    pattern = lambda image: ((image[:, :1] > 0.4) & (image[:, 1:2] < 0.7)).float()  # noqa: E731
    changed, masks = disrupted(images, pattern(images))
    borders = ((changed[:, :1] - 0.4).abs() < 1.0 / height) | ((changed[:, 1:2] - 0.7).abs() < 1.0 / width)
    assert torch.equal(masks[~borders], pattern(changed)[~borders])
    assert not torch.equal(masks, pattern(images))


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 23)])
def test_results_are_finite_and_in_range_and_masks_stay_binary(height, width):
    changed, masks = disrupted(images_of(100, height, width).round())
    assert torch.isfinite(changed).all()
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert set(masks.unique().tolist()) == {0.0, 1.0}


# What it is for.


def asymmetry(images: torch.Tensor) -> torch.Tensor:
    return (images - images.flip(-1)).abs().mean(dim=(1, 2, 3))


def test_a_mirror_keeps_a_symmetric_object_symmetric_and_a_crop_breaks_it():
    half = images_of(200, 16, 12)
    symmetric = torch.cat([half, half.flip(-1)], dim=-1)
    assert asymmetry(mirrored(symmetric, "horizontal")).max() == 0
    changed, _ = disrupted(symmetric)
    broken = asymmetry(changed) > 0.05
    assert broken.float().mean().item() == pytest.approx(0.5, abs=0.12)


# Randomness and strength.


def test_probability_zero_hands_back_the_batch():
    images = images_of(5)
    masks = masks_of(images)
    changed, changed_masks = disrupted(images, masks, probability=0.0)
    assert torch.equal(changed, images)
    assert torch.equal(changed_masks, masks)


def test_a_probability_for_each_image_is_heeded():
    images = images_of(6)
    changed, _ = disrupted(images, probability=torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0, 1.0]))
    assert (changed != images).flatten(1).any(dim=1).tolist() == [False, True, False, True, False, True]


def test_the_share_of_mirrored_images_is_the_probability():
    images = images_of(2000, 6, 6)
    changed, _ = disrupted(images, probability=0.4)
    assert (changed != images).flatten(1).any(dim=1).float().mean().item() == pytest.approx(0.4, abs=0.04)


def test_the_same_generator_gives_the_same_batch_and_the_input_is_left_alone():
    images = images_of(8)
    before = images.clone()
    first, again, other = (disrupted(images, seed=seed)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(images, before)


def test_the_input_masks_are_left_alone():
    images = images_of(40)
    masks = masks_of(images)
    before = masks.clone()
    assert not torch.equal(disrupted(images, masks)[1], masks)
    assert torch.equal(masks, before)


def test_a_single_image_can_be_disrupted():
    assert disrupted(images_of(1))[0].shape == (1, 3, 24, 24)
