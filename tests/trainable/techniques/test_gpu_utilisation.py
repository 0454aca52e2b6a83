"""How busy a GPU is: sampled at most once a second after updates, and a column only where it can be read."""

import pytest
import torch
from torch import nn

from trainable.tasks.registry import get_task
from trainable.techniques.gpu_utilisation import gpu_utilisation, sampled
from trainable.training_run import TrainingRun


class Readings:
    """A driver that gives these values in turn, at an hour that the test sets."""

    def __init__(self, *values):
        self.values = list(values)
        self.seconds = 100.0

    def __call__(self):
        value = self.values.pop(0)
        if isinstance(value, Exception):
            raise value
        return value


def samples_of(readings, *, seconds_between):
    """The samples of an epoch with updates so far apart."""
    optimizer = torch.optim.SGD(nn.Linear(2, 1).parameters(), lr=0.1)
    options = {"read": readings, "read_errors": (RuntimeError,), "clock": lambda: readings.seconds}
    with sampled(optimizer, **options) as samples:
        for seconds in seconds_between:
            readings.seconds += seconds
            optimizer.step()
    readings.seconds += 10
    optimizer.step()
    return samples


def test_updates_are_sampled_once_a_second_and_no_more_after_the_epoch():
    assert samples_of(Readings(40, 80, 99), seconds_between=[0.1, 0.5, 0.4, 0.2, 0.1]) == [40, 80]


def test_the_shortest_epoch_has_a_sample():
    assert samples_of(Readings(37), seconds_between=[0.01]) == [37]


def test_a_sample_that_fails_is_reported_and_left_out(caplog):
    assert samples_of(Readings(RuntimeError("GPU is lost"), 60), seconds_between=[0, 2]) == [60]
    assert "a sample of the GPU utilisation failed: GPU is lost" in caplog.text


def test_on_a_processor_there_is_no_column(disc_config):
    assert gpu_utilisation(torch.device("cpu")) is None
    metrics = TrainingRun(disc_config, get_task("moe").open_data(disc_config)).run_epoch().metrics
    assert not {"train/gpu_utilisation_percent", "train/peak_gib"} & metrics.keys()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_an_epoch_on_a_gpu_says_how_busy_it_was_or_the_log_says_why_not(disc_config, caplog):
    gpu_utilisation.cache_clear()
    metrics = TrainingRun(disc_config, get_task("moe").open_data(disc_config), device="cuda").run_epoch().metrics
    if "train/gpu_utilisation_percent" in metrics:
        assert 0 <= metrics["train/gpu_utilisation_percent"] <= 100
    else:
        assert "GPU utilisation is not recorded" in caplog.text
    assert metrics["train/peak_gib"] > 0
