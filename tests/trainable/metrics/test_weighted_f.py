import math

import pytest
import torch

from trainable.metrics.weighted_f import weighted_f_measure


def test_a_perfect_prediction_scores_one_and_an_empty_mask_nothing() -> None:
    mask = torch.zeros(2, 1, 12, 12)
    mask[0, 0, 4:8, 4:8] = 1
    assert weighted_f_measure(mask, mask).tolist() == pytest.approx([1, 0])


def test_the_score_follows_the_definition_pixel_by_pixel() -> None:
    generator = torch.Generator().manual_seed(3)
    prediction = torch.rand(1, 1, 9, 11, generator=generator, dtype=torch.float64)
    mask = torch.zeros(1, 1, 9, 11)
    mask[0, 0, 4:6, 5] = 1
    expected = _by_definition(prediction[0, 0].tolist(), mask[0, 0].tolist())
    assert weighted_f_measure(prediction, mask).item() == pytest.approx(expected, abs=1e-9)


def test_a_false_alarm_costs_more_the_farther_it_lies_from_the_object() -> None:
    mask = torch.zeros(1, 1, 20, 20)
    mask[0, 0, 2:6, 2:6] = 1
    near, far = mask.clone(), mask.clone()
    near[0, 0, 6, 2:6] = 1
    far[0, 0, 19, 16:20] = 1
    assert weighted_f_measure(far, mask) < weighted_f_measure(near, mask) < 1


def test_a_prediction_of_nothing_around_the_object_leaves_the_score_as_it_is_defined() -> None:
    prediction, mask = torch.zeros(1, 1, 12, 17, dtype=torch.float64), torch.zeros(1, 1, 12, 17)
    prediction[0, 0, 1:5, 7:12], mask[0, 0, 2:5, 4:9] = 0.7, 1
    expected = _by_definition(prediction[0, 0].tolist(), mask[0, 0].tolist())
    assert weighted_f_measure(prediction, mask).item() == pytest.approx(expected, abs=1e-9)


def _by_definition(prediction: list[list[float]], mask: list[list[float]]) -> float:
    pixels = [(row, column) for row in range(len(mask)) for column in range(len(mask[0]))]
    inside = [pixel for pixel in pixels if mask[pixel[0]][pixel[1]]]
    error = {(r, c): abs(prediction[r][c] - mask[r][c]) for r, c in pixels}
    nearest = {pixel: min(inside, key=lambda other, pixel=pixel: math.dist(pixel, other)) for pixel in pixels}
    kernel = {(r, c): math.exp(-(r * r + c * c) / 50) for r in range(-3, 4) for c in range(-3, 4)}
    total = sum(kernel.values())

    def smoothed(row: int, column: int) -> float:
        shifted = ((weight, (row + r, column + c)) for (r, c), weight in kernel.items())
        return sum(weight / total * error[nearest[pixel]] for weight, pixel in shifted if pixel in error)

    hits = sum(1 - min(error[pixel], smoothed(*pixel)) for pixel in inside)
    alarms = sum(
        error[pixel] * (2 - 0.5 ** (math.dist(pixel, nearest[pixel]) / 5)) for pixel in pixels if pixel not in inside
    )
    recall, precision = hits / len(inside), hits / (hits + alarms)
    return 2 * recall * precision / (recall + precision)
