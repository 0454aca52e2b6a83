import pytest
import torch

from trainable.metrics.level_histogram import ADAPTIVE, ONE_HALF, count_levels, stretched_levels


def test_pixels_are_counted_by_quadrant_mask_and_level() -> None:
    mask = torch.zeros(1, 1, 4, 5)
    mask[0, 0, 1, 2] = 1
    probability = torch.full((1, 1, 4, 5), 10 / 255)
    probability[0, 0, 1, 2] = 200 / 255
    counts = count_levels(probability, mask).counts[0]
    # The centroid (1, 2) belongs to the upper left quadrant of 2 x 3 pixels.
    assert counts[:, 0, 10].tolist() == [5, 4, 6, 4]
    assert counts[:, 1, 200].tolist() == [1, 0, 0, 0]
    assert counts.sum() == 20


def test_any_float_type_lands_on_the_same_levels() -> None:
    levels = torch.arange(256).view(1, 1, 16, 16)
    mask = (levels > 99).float()
    for dtype in (torch.float32, torch.float64):
        counts = count_levels(levels.to(dtype) / 255, mask).by_level[0]
        assert counts.sum(0).tolist() == [1] * 256
        assert counts[1].nonzero()[0].item() == 100
    assert count_levels(torch.ones(1, 1, 2, 2, dtype=torch.bfloat16), mask[..., :2, :2]).by_level[0, 0, 255] == 4


def test_a_large_batch_is_counted_like_its_images_one_by_one() -> None:
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.rand(9000, 1, 2, 3, generator=generator)
    masks = (torch.rand(9000, 1, 2, 3, generator=generator) > 0.5).float()
    counts = count_levels(probabilities, masks).counts
    for image in (0, 1, 8191, 8192, 8999):
        alone = count_levels(probabilities[image : image + 1], masks[image : image + 1]).counts
        assert torch.equal(counts[image], alone[0])


def test_the_stretch_reaches_from_zero_to_one_and_leaves_constant_images_alone() -> None:
    probabilities = torch.stack([torch.linspace(0.2, 0.6, 16).view(1, 4, 4), torch.full((1, 4, 4), 0.4)])
    histogram = count_levels(probabilities, torch.zeros_like(probabilities))
    varying, constant = stretched_levels(probabilities, histogram)
    assert (varying.min(), varying.max()) == (0, 1)
    assert constant.unique().tolist() == [102 / 255]


def test_a_probability_of_one_half_is_a_decision_for_the_object() -> None:
    mask = torch.ones(1, 1, 1, 3)
    decided = count_levels(torch.tensor([0.49, 0.5, 0.51]).view(1, 1, 1, 3), mask).decisions()
    assert (decided.true_positive[0, ONE_HALF], decided.false_negative[0, ONE_HALF]) == (2, 1)


def test_the_adaptive_threshold_is_twice_the_mean_and_at_most_one() -> None:
    mask = torch.ones(1, 1, 1, 4)
    for values, chosen in (([0.0, 0.0, 0.2, 1.0], 1), ([0.0, 0.2, 0.2, 0.4], 1), ([0.0, 1.0, 1.0, 1.0], 3)):
        probabilities = torch.tensor(values).view(1, 1, 1, 4)
        decided = count_levels(probabilities, mask, min_max_normalise=False).decisions()
        assert decided.true_positive[0, ADAPTIVE] == chosen


@pytest.mark.parametrize("shape", [(2, 1, 8, 9), (2, 8, 8), (2, 3, 8, 8), (0, 1, 8, 8)])
def test_shapes_that_do_not_fit_are_refused(shape: tuple[int, ...]) -> None:
    masks = torch.zeros(2, 1, 8, 8) if shape == (2, 1, 8, 9) else torch.zeros(shape)
    with pytest.raises(ValueError, match=r"both must be \(B, 1, H, W\)"):
        count_levels(torch.zeros(shape), masks)
