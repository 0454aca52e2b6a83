"""How often an update waits for its device: once, to read the loss and the gradient; what is sent there waits for
nothing.

Tried without a GPU: the network lies on torch's meta device, which computes nothing. What a GPU would wait for is what
crosses from one device to the other.
"""

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.gpu.techniques import TECHNIQUES
from trainable.config import from_params
from trainable.metrics.running_mean import RunningMeans
from trainable.training_run import TrainingRun

WITH_READS_OF_ITS_OWN = ("progressive resolution",)
"""Mask R-CNN counts its boxes on the device."""
QUICK = ("image augmentation", "mixing of labels", "contrastive term", "Fourier mixing")


class Crossings(TorchDispatchMode):
    """Counts reads from the meta device, answered with ones, and copies to it that wait."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []
        self.waiting_copies: list[str] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs, name = kwargs or {}, function.name()
        source = args[0].device.type if args and isinstance(args[0], Tensor) else None
        if name == "aten::_local_scalar_dense" and source == "meta":
            self.reads.append(name)
            return 1.0 if args[0].is_floating_point() else 0
        if name == "aten::_to_copy" and kwargs.get("device") is not None:
            target = torch.device(kwargs["device"]).type
            if (source, target) == ("meta", "cpu"):
                self.reads.append(name)
                return torch.ones(args[0].shape, dtype=args[0].dtype)
            if (source, target) == ("cpu", "meta") and not kwargs.get("non_blocking"):
                self.waiting_copies.append(name)
        return function(*args, **kwargs)


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
    assert (len(crossings.reads), len(crossings.waiting_copies)) == (1, 1)
