import pytest
import torch

from trainable.metrics.level_histogram import count_levels
from trainable.metrics.structure import s_measure


def test_a_perfect_prediction_scores_one() -> None:
    assert _score(_disc(), _disc()) == pytest.approx(1, abs=1e-9)


def test_empty_and_full_masks_score_by_the_mean_prediction() -> None:
    prediction = torch.linspace(0, 1, 256).view(1, 1, 16, 16)
    assert _score(prediction**2, torch.zeros_like(prediction)) == pytest.approx(2 / 3, abs=2e-3)
    assert _score(prediction**2, torch.ones_like(prediction)) == pytest.approx(1 / 3, abs=2e-3)


def test_the_score_is_worked_out_by_hand_for_a_flat_grey_prediction() -> None:
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., 0, 0] = 1
    grey = 51 / 255
    # Object score: both sides are even, so 2m / (m^2 + 1). Region score: the split lies after row and column 0, so the
    # upper left quadrant is that one pixel; in every quadrant prediction and mask are constant, which scores 1.
    inside, outside = 2 * grey / (grey**2 + 1), 2 * (1 - grey) / ((1 - grey) ** 2 + 1)
    expected = 0.5 * (inside / 16 + outside * 15 / 16) + 0.5
    assert _score(torch.full_like(mask, grey), mask) == pytest.approx(expected)


def test_a_quadrant_without_pixels_has_no_weight() -> None:
    mask = torch.zeros(1, 1, 6, 7)
    mask[..., 2:4, 6] = 1
    assert _score(mask, mask) == pytest.approx(1, abs=1e-9)


def test_the_score_of_a_constant_prediction_does_not_jump_between_levels() -> None:
    levels = torch.arange(256).view(-1, 1, 1, 1) / 255
    scores = s_measure(count_levels(levels.expand(256, 1, 32, 32), _disc().expand(256, -1, -1, -1)))
    assert scores.diff().abs()[1:].max() < 0.01


def test_moving_the_object_lowers_the_score() -> None:
    assert _score(_disc().roll(6, dims=3), _disc()) < _score(_disc().roll(2, dims=3), _disc()) < 1


def _disc() -> torch.Tensor:
    rows, columns = torch.arange(32.0).view(-1, 1), torch.arange(32.0)
    return (((rows - 14) ** 2 + (columns - 12) ** 2) < 60).float()[None, None]


def _score(prediction: torch.Tensor, mask: torch.Tensor) -> float:
    return s_measure(count_levels(prediction, mask)).item()
