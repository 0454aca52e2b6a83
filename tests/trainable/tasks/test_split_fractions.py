"""How a folder without splits is divided can be chosen in every workload."""

import numpy as np
import pytest
from PIL import Image

from trainable.config import from_params
from trainable.tasks.registry import TASKS, get_task


@pytest.fixture
def class_folder(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("clean", "dirty"):
        (tmp_path / name).mkdir()
        for number in range(20):
            image = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(image).save(tmp_path / name / f"{name}{number}.png")
    return tmp_path


def sizes(workload, folder, cache_dir, **params):
    task = get_task(workload)
    splits = task.open_data(from_params(params, task.default_config(str(folder))), cache_dir=cache_dir)
    return len(splits.train), len(splits.validation), len(splits.test)


@pytest.mark.parametrize("workload", ["dishes", "leaf"])
def test_the_splits_have_the_shares_that_were_asked_for(workload, class_folder, tmp_path_factory):
    cache_dir = tmp_path_factory.mktemp("cache")
    params = {"split_fractions": [0.8, 0.1, 0.1]} | ({"dirty_variants": False} if workload == "dishes" else {})
    assert sizes(workload, class_folder, cache_dir, **params) == (32, 4, 4)
    params["split_fractions"] = None
    assert sizes(workload, class_folder, cache_dir, **params) == (24, 8, 8)


def test_masks_follow_them_too(disc_folder, tmp_path):
    train, validation, test = sizes("moe", disc_folder, tmp_path, split_fractions=[0.5, 0.25, 0.25])
    assert abs(train - (validation + test)) <= 2


@pytest.mark.parametrize("workload", TASKS)
def test_embedded_data_is_not_divided(workload):
    with pytest.raises(ValueError, match="drawn, not"):
        from_params({"split_fractions": [0.8, 0.1, 0.1]}, get_task(workload).default_config())
