from dataclasses import replace

import numpy as np
import pytest
import torch

from trainable.data.image_mask_set import ImageMaskSet
from trainable.tasks.registry import get_task


@pytest.mark.parametrize(("side", "sizes"), [(96, [15, 15, 10]), (352, [2] * 20)])
def test_what_a_processor_judges_at_a_time_depends_on_the_images_and_not_on_the_trial(side, sizes):
    task, names = get_task("moe"), [f"image_{number}" for number in range(40)]
    data = ImageMaskSet.of_arrays(np.zeros((40, side, side, 3), np.uint8), np.zeros((40, side, side), np.uint8), names)
    for batch_size in (4, 32):
        config = replace(task.default_config(), batch_size=batch_size)
        batches = task.evaluation_batches(config, data, torch.device("cpu"))
        assert [len(images) for images, _ in batches] == sizes
