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


OWN_NETWORK = """
from torch import nn

class Halves(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv2d(3, 4, 2, stride=2), nn.ConvTranspose2d(4, 1, 2, stride=2)

    def forward(self, images):
        return self.up(self.down(images))
"""


@pytest.fixture(scope="module")
def own_network(tmp_path_factory):
    file = tmp_path_factory.mktemp("own") / "halves.py"
    file.write_text(OWN_NETWORK)
    return {"network": f"{file}:Halves"}


@pytest.mark.parametrize(
    ("network", "scale", "reason"),
    [
        ({}, 0.25, r"fails on images of 16x24 px in evaluation: .*the network needs 32 px or more"),
        ({}, 0.5, None),
        pytest.param(
            {"backbone": "timm:vit_tiny_patch16_224"},
            0.75,
            r"does not take 48x72 px; give .* multiples of 16 px",
            marks=pytest.mark.slow,
        ),
        ("own_network", 0.7, r"Halves returns predictions of shape \(B, 1, 44, 66\) in evaluation"),
        ("own_network", 0.5, None),
    ],
)
def test_a_view_that_the_network_does_not_take_is_refused_before_the_training(network, scale, reason, request):
    chosen = request.getfixturevalue(network) if network == "own_network" else network
    if "backbone" in chosen:
        pytest.importorskip("timm")
    task = get_task("moe")
    params = {"test_time_augmentation": True, "tta_scales": (scale, 1.0), **chosen}
    config = replace(from_params(params, task.default_config("folder")), trained_size_px=(64, 96))
    refusal = pytest.raises(ValueError, match=rf"^tta_scales has {scale:g}: .*{reason}")
    with nullcontext() if reason is None else refusal:
        task.build_model(config)
