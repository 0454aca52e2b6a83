import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar

from trainable.metrics.calibration import CalibratedMetrics, CollectedLogits, calibrate, fit_temperature
from trainable.metrics.classification import ClassificationMetrics

CLASSES = ("a", "b", "c")


def overconfident(count: int, *, sharpness: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels drawn from a softmax, and its logits made too sharp: the right temperature is the sharpness."""
    generator = torch.Generator().manual_seed(seed)
    logits = 1.5 * torch.randn(count, 3, generator=generator)
    labels = torch.multinomial(logits.softmax(1), 1, generator=generator).squeeze(1)
    return sharpness * logits, labels


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 5.0])
def test_the_temperature_is_that_of_scipy_and_near_the_one_that_was_put_in(sharpness):
    logits, labels = overconfident(4000, sharpness=sharpness)
    found = fit_temperature(logits, labels)
    loss = lambda log_t: F.cross_entropy(logits.double() / np.exp(log_t), labels).item()  # noqa: E731
    assert found == pytest.approx(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x), rel=1e-3)
    assert found == pytest.approx(sharpness, rel=0.1)


def test_a_temperature_changes_confidence_and_never_the_call():
    probabilities = overconfident(50, sharpness=3.0)[0].softmax(1)
    cooled = calibrate(probabilities, 3.0)
    assert torch.equal(cooled.argmax(1), probabilities.argmax(1))
    assert (cooled.amax(1) <= probabilities.amax(1)).all()
    torch.testing.assert_close(calibrate(probabilities, 1.0), probabilities)


def test_fitted_on_one_split_it_lowers_the_calibration_error_of_another():
    fitted, (logits, labels) = CollectedLogits(), overconfident(4000, sharpness=4.0, seed=1)
    for rows in range(0, 4000, 1000):
        fitted.update(*(part[rows : rows + 1000] for part in _probabilities(4000, seed=0)))
    temperature = fitted.compute()["temperature"]
    metrics = CalibratedMetrics(CLASSES, temperature=temperature)
    metrics.update(logits.softmax(1), labels)
    values = metrics.compute()
    assert values["calibrated_ece"] < 0.05 < 0.15 < values["ece"]
    assert values["calibrated_nll"] < values["nll"]
    assert values["temperature"] == temperature
    plain = ClassificationMetrics(CLASSES)
    plain.update(logits.softmax(1), labels)
    assert values.items() >= plain.compute().items()


def test_images_without_a_label_do_not_count_and_none_with_one_is_a_sentence():
    logits, labels = overconfident(500, sharpness=2.0)
    more = torch.cat([logits, 50 * torch.ones(20, 3)]), torch.cat([labels, torch.full((20,), -1)])
    assert fit_temperature(*more) == fit_temperature(logits, labels)
    with pytest.raises(ValueError, match="needs labelled images"):
        fit_temperature(logits, torch.full((500,), -1))


def _probabilities(count: int, *, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    logits, labels = overconfident(count, sharpness=4.0, seed=seed)
    return logits.softmax(1), labels
