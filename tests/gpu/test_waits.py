"""How often an update waits for its device: once, to read the loss and the gradient; what is sent there waits for
nothing.

Tried without a GPU: the network lies on torch's meta device, which computes nothing. What a GPU would wait for is what
crosses from one device to the other.
"""

from contextlib import nullcontext

import pytest
import torch

from tests.gpu.crossings import Crossings
from tests.gpu.techniques import TECHNIQUES
from trainable.config import from_params
from trainable.metrics.running_mean import RunningMeans
from trainable.training_run import TrainingRun

WITH_READS_OF_ITS_OWN = ("progressive resolution",)
"""Mask R-CNN counts its boxes on the device."""
QUICK = ("image augmentation", "mixing of labels", "contrastive term", "Fourier mixing", "GradNorm")


@pytest.fixture
def without_autocast(monkeypatch):
    """Disables autocast, which the meta device does not have."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda *_: False)


def on_meta(opened, technique: str) -> tuple[TrainingRun, list]:
    """A training before its first update, and the batches of its first epoch."""
    workload, params = TECHNIQUES[technique]
    config, splits = opened(workload)
    run = TrainingRun(from_params(params | {"precision": "fp32"}, config), splits, device="meta")
    for group in run.trainer.optimizer.param_groups:
        # There is no fused kernel of the meta device.
        group.update(fused=False, foreach=True)
    run.trainer._begin_epoch(0)
    return run, list(run._training)


@pytest.mark.parametrize(
    "technique",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in TECHNIQUES
        if name not in WITH_READS_OF_ITS_OWN
    ],
)
def test_an_update_waits_for_its_device_once(opened, technique, without_autocast):
    run, batches = on_meta(opened, technique)
    # The first batch shows whether the pixels lie in [0, 1]; that is read once in a training.
    with Crossings():
        run.trainer._update(batches[:1], RunningMeans())
    with Crossings() as crossings:
        run.trainer._update(batches[1:2], RunningMeans())
    assert len(crossings.reads) == 1
    assert crossings.waiting_copies == []


def test_a_read_and_a_copy_that_waits_are_seen():
    there = torch.zeros(2, device="meta")
    with Crossings() as crossings:
        there.tolist()
        torch.zeros(2).to("meta")
        torch.zeros(2).to("meta", non_blocking=True)
        torch.tensor([1.0, 2.0], device="meta")
        torch.tensor([1.0, 2.0])
        torch.zeros(2, device="meta")
    assert (len(crossings.reads), len(crossings.waiting_copies)) == (1, 2)
