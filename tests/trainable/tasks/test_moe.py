from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch

from trainable.config import from_dict, from_params, to_dict
from trainable.data.image_mask.image_mask_set import ImageMaskSet
from trainable.data.io.splits import Splits
from trainable.tasks.registry import get_task


@pytest.mark.parametrize(("side", "sizes"), [(96, [31, 31]), (352, [5] * 10 + [4] * 3)])
def test_what_a_processor_judges_at_a_time_depends_on_the_images_and_not_on_the_trial(side, sizes):
    task, names = get_task("moe"), [f"image_{number}" for number in range(62)]
    data = ImageMaskSet.of_arrays(np.zeros((62, side, side, 3), np.uint8), np.zeros((62, side, side), np.uint8), names)
    for batch_size in (4, 32):
        config = replace(task.default_config(), batch_size=batch_size)
        batches = task.evaluation_batches(config, data, torch.device("cpu"))
        assert [len(images) for images, _ in batches] == sizes


def test_pictures_are_judged_in_the_size_that_the_data_was_opened_in():
    task = get_task("moe")
    data = ImageMaskSet.of_arrays(np.zeros((2, 32, 48, 3), np.uint8), np.ones((2, 32, 48), np.uint8), ["a", "b"])
    splits = Splits(train=data, validation=data, test=data, fingerprint={})
    config = from_dict(to_dict(task.adapt_to_data(task.default_config("folder"), splits)), task.default_config())
    assert task.predictor(config).trained_size_px == (32, 48)


@pytest.mark.parametrize(("scale", "is_refused"), [(0.25, True), (0.5, False)])
def test_a_view_too_small_for_the_network_is_refused_before_the_training(scale, is_refused):
    task = get_task("moe")
    config = from_params({"test_time_augmentation": True, "tta_scales": (scale, 1.0)}, task.default_config("folder"))
    refusal = pytest.raises(ValueError, match=r"tta_scales has 0\.25, at which images of 96x64 px have a side of 16 px")
    with refusal if is_refused else nullcontext():
        task.build_model(replace(config, trained_size_px=(64, 96)))
