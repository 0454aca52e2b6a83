"""CamouflageMetrics against PySODMetrics 1.6.2, and the promises of an accumulator.

The numbers in pysodmetrics_1_6_2.json were produced by that package, in an environment of its own: for three public
image pairs, and for the pairs that `small_pairs` makes.
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from trainable.metrics.camouflage import METRIC_NAMES, CamouflageMetrics
from trainable.metrics.confusion import e_measure, f_measure
from trainable.metrics.level_histogram import EVERY_THRESHOLD, count_levels

TOLERANCE = 1e-6
EXPECTED = json.loads(Path(__file__).with_name("pysodmetrics_1_6_2.json").read_text())
PUBLIC_PAIRS = Path(__file__).parents[4] / "shared" / "data" / "metrics_oracle" / "test_data"


def small_pairs() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """8-bit predictions and boolean masks from integer arithmetic alone, so that they are the same everywhere."""
    texture, disc = _texture(37, 53), _disc(37, 53)
    lone_pixel, corner = np.zeros((24, 31), bool), np.zeros((40, 40), bool)
    lone_pixel[17, 5] = True
    corner[:9, :12] = True
    return {
        "odd_size": (_painted(texture, disc), disc),
        "narrow_range": (40 + _painted(texture, disc) // 2, disc),
        "perfect": (disc * 255, disc),
        "inverted": (255 - _painted(texture, disc), disc),
        "constant_black": (np.zeros((37, 53), int), disc),
        "constant_grey": (np.full((37, 53), 51), disc),
        "constant_white": (np.full((37, 53), 255), disc),
        "empty_mask": (texture, np.zeros((37, 53), bool)),
        "full_mask": (texture, np.ones((37, 53), bool)),
        "single_pixel": (_painted(_texture(24, 31), lone_pixel), lone_pixel),
        "larger": (_painted(_texture(96, 96), _disc(96, 96)), _disc(96, 96)),
        "corner": (_painted(_texture(40, 40), _disc(40, 40)), corner),
    }


@pytest.mark.parametrize("name", EXPECTED["small_pairs"])
def test_every_metric_equals_pysodmetrics_on_generated_pairs(name: str) -> None:
    metrics = CamouflageMetrics(weighted_f=True)
    metrics.update(*_as_tensors(*small_pairs()[name]))
    _assert_close(metrics.compute(), EXPECTED["small_pairs"][name])


@pytest.mark.parametrize("name", EXPECTED["small_pairs"])
def test_curves_equal_pysodmetrics_threshold_by_threshold(name: str) -> None:
    confusion = count_levels(*_as_tensors(*small_pairs()[name])).decisions()
    for curve, measure in (("e_measure_curve", e_measure), ("f_measure_curve", f_measure)):
        expected = torch.tensor(EXPECTED["small_pairs"][name][curve], dtype=torch.float64)
        torch.testing.assert_close(measure(confusion)[0, EVERY_THRESHOLD][::51], expected, atol=TOLERANCE, rtol=0)


def test_the_mean_over_images_of_many_sizes_equals_pysodmetrics() -> None:
    metrics = CamouflageMetrics(weighted_f=True)
    for pair in small_pairs().values():
        metrics.update(*_as_tensors(*pair))
    _assert_close(metrics.compute(), EXPECTED["small_pairs_together"])


@pytest.mark.parametrize("names", [*([name] for name in EXPECTED["public_pairs"]), list(EXPECTED["public_pairs"])])
def test_public_pairs_give_the_published_values(names: list[str]) -> None:
    metrics = CamouflageMetrics(weighted_f=True)
    for name in names:
        metrics.update(*_public_pair(name))
    expected = EXPECTED["public_pairs"][names[0]] if len(names) == 1 else EXPECTED["public_pairs_together"]
    _assert_close(metrics.compute(), expected)


@pytest.mark.parametrize("sizes", [[1] * 10, [4, 4, 2], [7, 3]])
def test_batches_of_any_size_give_the_values_of_one_batch(sizes: list[int]) -> None:
    probabilities, masks = _random_batch(10)
    whole, parts = CamouflageMetrics(weighted_f=True), CamouflageMetrics(weighted_f=True)
    whole.update(probabilities, masks)
    for part in zip(probabilities.split(sizes), masks.split(sizes), strict=True):
        parts.update(*part)
    assert parts.compute() == pytest.approx(whole.compute(), abs=1e-12)


def test_parts_of_a_split_merge_to_the_values_of_the_whole() -> None:
    probabilities, masks = _random_batch(100)
    whole, *parts = (CamouflageMetrics() for _ in range(4))
    whole.update(probabilities, masks)
    for part, images in zip(parts, (slice(0, 20), slice(20, 90), slice(90, 100)), strict=True):
        for image in range(100)[images]:
            part.update(probabilities[image, None], masks[image, None])
    parts[2].merge([part.state_dict() for part in parts])
    assert parts[2].compute() == pytest.approx(whole.compute(), abs=1e-12)


def test_names_are_the_documented_ones_in_order() -> None:
    plain, weighted = CamouflageMetrics(), CamouflageMetrics(weighted_f=True)
    for metrics in (plain, weighted):
        metrics.update(*_random_batch(2))
        assert tuple(metrics.compute()) == metrics.names
    assert plain.names == METRIC_NAMES
    assert weighted.names == (*METRIC_NAMES, "weighted_f_measure")


def test_the_maximum_is_taken_of_the_mean_curve_and_not_of_each_image() -> None:
    mask = torch.zeros(2, 1, 4, 4)
    mask[..., :2] = 1
    bright, dark = torch.where(mask[:1] > 0, 1.0, 0.9), torch.where(mask[:1] > 0, 0.1, 0.0)
    metrics = CamouflageMetrics(min_max_normalise=False)
    metrics.update(torch.cat([bright, dark]), mask)
    # Above level 230 the bright image is perfect and the dark one empty; at level 26 it is the other way round.
    all_chosen = 1.3 * 8 / (0.3 * 8 + 16)
    assert metrics.compute()["f_measure_max"] == pytest.approx((1 + all_chosen) / 2)


def test_an_empty_mask_is_counted_and_agrees_with_an_empty_decision() -> None:
    metrics = CamouflageMetrics()
    metrics.update(torch.full((3, 1, 8, 8), 0.2), torch.zeros(3, 1, 8, 8))
    values = metrics.compute()
    assert (values["iou"], values["dice"], values["num_empty_masks"]) == (1.0, 1.0, 3.0)
    assert values["mae"] == pytest.approx(0.2)
    assert values["f_measure_max"] == 0.0


def test_each_metric_of_an_image_without_an_object_is_as_documented() -> None:
    mask = torch.zeros(1, 1, 8, 8)
    quarter = mask.clone()
    quarter[..., :2] = 1
    for prediction, share in ((mask, 0.0), (quarter, 0.25), (torch.ones_like(mask), 1.0)):
        metrics = CamouflageMetrics(weighted_f=True)
        metrics.update(prediction, mask)
        values = metrics.compute()
        assert values["s_measure"] == pytest.approx(1 - share)
        assert values["mae"] == pytest.approx(share)
        assert values["e_measure_max"] == pytest.approx((1 - share) * 64 / 63)
        assert values["e_measure_adaptive"] == pytest.approx(0.75 * 64 / 63 if share == 0.25 else 0)
        assert (values["f_measure_max"], values["weighted_f_measure"]) == (0.0, 0.0)
        assert values["iou"] == values["dice"] == (share == 0)


def test_a_faint_false_alarm_on_an_empty_mask_counts_in_full_unless_the_prediction_is_constant() -> None:
    mask = torch.zeros(1, 1, 8, 8)
    faint = mask.clone()
    faint[..., :2] = 0.1
    for prediction, mae in ((faint, 0.25), (mask + 0.1, 0.1)):
        metrics = CamouflageMetrics()
        metrics.update(prediction, mask)
        values = metrics.compute()
        assert values["mae"] == pytest.approx(mae, abs=2e-3)
        assert values["iou"] == 1.0


def test_an_image_answered_with_nothing_or_all_is_constant_unless_its_mask_is() -> None:
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    nothing, everything, half = torch.full_like(mask, 0.2), torch.full_like(mask, 0.8), mask * 0.6
    for decisions, masks, share in (
        ([nothing, everything, half, half], [mask] * 4, 0.5),
        ([nothing, everything], [torch.zeros_like(mask), torch.ones_like(mask)], 0.0),
        ([nothing, half], [mask, torch.zeros_like(mask)], 0.5),
    ):
        metrics = CamouflageMetrics()
        metrics.update(torch.cat(decisions), torch.cat(masks))
        assert metrics.compute()["constant_share"] == share


def test_iou_is_of_the_plain_probability_whatever_the_stretch() -> None:
    mask = torch.zeros(1, 1, 2, 2)
    mask[..., 0] = 1
    for stretched in (True, False):
        metrics = CamouflageMetrics(min_max_normalise=stretched)
        metrics.update(mask * 0.3 + 0.1, mask)
        assert metrics.compute()["iou"] == 0.0
        assert metrics.compute()["mae"] == pytest.approx(0.0 if stretched else (0.6 + 0.1) / 2, abs=1e-3)


def test_predictions_that_are_not_numbers_give_metrics_that_are_not_numbers() -> None:
    probabilities, masks = _random_batch(3)
    probabilities[1, 0, 2, 2] = math.nan
    metrics = CamouflageMetrics()
    metrics.update(*_random_batch(2))
    metrics.update(probabilities, masks)
    metrics.update(*_random_batch(2))
    assert all(math.isnan(value) for value in metrics.compute().values())


@pytest.mark.parametrize(
    ("probabilities", "masks", "sentence"),
    [
        (torch.linspace(-5, 9, 64).view(1, 1, 8, 8), torch.zeros(1, 1, 8, 8), r"from -5 to 9; .* torch.sigmoid"),
        (torch.zeros(2, 1, 8, 8), torch.full((2, 1, 8, 8), 255.0), "Masks range from 255 to 255"),
    ],
)
def test_values_outside_their_range_are_refused(probabilities: Tensor, masks: Tensor, sentence: str) -> None:
    metrics = CamouflageMetrics()
    metrics.update(probabilities, masks)
    with pytest.raises(ValueError, match=sentence):
        metrics.compute()


def test_no_images_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="the loader was empty"):
        CamouflageMetrics().compute()


def test_update_reads_nothing_back_from_the_device() -> None:
    class Reads(TorchDispatchMode):
        names: list[str] = []

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            self.names.append(function.name())
            return function(*args, **(kwargs or {}))

    with Reads() as reads:
        CamouflageMetrics().update(*_random_batch(2))
    assert "aten::amax" in reads.names
    assert "aten::_local_scalar_dense" not in reads.names


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_values_of_the_cpu_without_waiting() -> None:
    on_cpu, on_gpu = CamouflageMetrics(), CamouflageMetrics()
    probabilities, masks = _random_batch(5)
    on_cpu.update(probabilities, masks)
    probabilities, masks = probabilities.cuda(), masks.cuda()
    torch.cuda.set_sync_debug_mode("error")
    on_gpu.update(probabilities, masks)
    torch.cuda.set_sync_debug_mode("default")
    assert on_gpu.compute() == pytest.approx(on_cpu.compute(), abs=1e-12)


def _texture(height: int, width: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return (rows * rows * 7 + columns * 31 + rows * columns * 13) % 256


def _disc(height: int, width: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return (rows - height // 3) ** 2 + (columns - width // 2) ** 2 <= (min(height, width) // 4) ** 2


def _painted(texture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.where(mask, 255 - texture // 2, texture // 3)


def _as_tensors(levels: np.ndarray, mask: np.ndarray) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(levels / 255).float()[None, None], torch.from_numpy(mask).float()[None, None]


def _public_pair(name: str) -> tuple[Tensor, Tensor]:
    if not PUBLIC_PAIRS.is_dir():
        pytest.skip("The three public image pairs of PySODMetrics are not beside the repository.")
    prediction, mask = (
        np.array(Image.open(PUBLIC_PAIRS / folder / f"{name}.png").convert("L")) for folder in ("preds", "masks")
    )
    return _as_tensors(prediction, mask > 128)


def _random_batch(images: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(images)
    masks = (torch.rand(images, 1, 13, 17, generator=generator) > 0.6).float()
    masks[0] = 0
    return torch.rand(images, 1, 13, 17, generator=generator), masks


def _assert_close(values: dict[str, float], expected: dict[str, float]) -> None:
    compared = {name: value for name, value in values.items() if name in expected}
    assert len(compared) >= 6
    assert compared == pytest.approx({name: expected[name] for name in compared}, abs=TOLERANCE)
