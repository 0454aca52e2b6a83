"""Layers that normalise over ranks, in a group of one: what two processes share is in test_data_parallel.py."""

import copy
from contextlib import nullcontext

import pytest
import torch
from torch import distributed, nn

from tests.gpu.crossings import Crossings
from trainable.models.backbones.registry import build_backbone
from trainable.techniques.parallel.data_parallel import joined
from trainable.techniques.parallel.synced_batch_norm import sync_batch_norms


@pytest.fixture
def alone(tmp_path):
    store = distributed.FileStore(str(tmp_path / "meet"), 1)
    with joined(torch.device("cpu"), store=store, rank=0, world_size=1):
        yield


def test_that_of_timm_still_drops_and_activates_and_keeps_its_names(alone):
    layers = pytest.importorskip("timm.layers")
    plain = nn.Sequential(layers.BatchNormAct2d(3, act_layer=nn.PReLU, drop_layer=nn.Identity))
    synced = copy.deepcopy(plain)
    sync_batch_norms(synced)
    images = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    for network in (plain, synced):
        network(images)
    torch.testing.assert_close(synced(images), plain(images))
    torch.testing.assert_close(synced.state_dict(), plain.state_dict())
    assert type(synced[0]) is not type(plain[0])
    torch.testing.assert_close(synced.eval()(images), plain.eval()(images))


def test_a_layer_that_may_do_more_is_refused_instead_of_left_to_each_rank():
    class Doubling(nn.BatchNorm2d):
        def forward(self, x):
            return 2 * super().forward(x)

    with pytest.raises(ValueError, match="last is a Doubling, a batch normalisation of its own kind"):
        sync_batch_norms(nn.ModuleDict({"last": Doubling(3)}))


def test_over_ranks_a_recomputed_batch_counts_once_in_the_running_statistics(alone):
    pytest.importorskip("timm")
    statistics = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        backbone = build_backbone("timm:resnet10t")
        backbone.checkpointing = checkpointing
        sync_batch_norms(backbone)
        sum(one.square().mean() for one in backbone(torch.rand(2, 3, 64, 64))).backward()
        statistics.append([value for name, value in backbone.state_dict().items() if "running" in name])
    torch.testing.assert_close(statistics[1], statistics[0])


def test_over_ranks_a_layer_reads_nothing_from_its_device_and_sends_nothing_that_it_waits_for(monkeypatch):
    monkeypatch.setattr(distributed, "all_reduce", lambda total: None)
    # The meta device has no autocast.
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    layer = nn.ModuleDict({"only": nn.BatchNorm2d(3)})
    sync_batch_norms(layer)
    layer.to("meta")
    with Crossings() as crossings:
        layer["only"](torch.zeros(2, 3, 5, 5, device="meta")).sum().backward()
    assert (crossings.reads, crossings.waiting_copies) == ([], [])
