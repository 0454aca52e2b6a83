"""The search whose epochs sleep has its slots on every machine."""

import pytest

from benchmarks.searches.sleep import Sleep
from benchmarks.searches.sleeping import SLOTS, settings_of
from tuner.ray.cluster import allocate_resources


@pytest.mark.parametrize("gpus", [0, 1, 8])
def test_its_trials_train_side_by_side_with_and_without_gpus(gpus, tmp_path):
    settings = settings_of(Sleep(folder=tmp_path, num_trials=24, num_epochs=6, seconds=0.5))
    resources = allocate_resources(settings, [{"CPU": 16.0, "GPU": float(gpus)}])
    assert (resources.concurrent, resources.device) == (SLOTS, "cpu")
