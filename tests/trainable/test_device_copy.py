"""A copy to a device: its values, and whether it is waited for. Waiting for a device."""

import pytest
import torch
from torch import Tensor

from trainable.device_copy import sent_to, wait_for
from trainable.optimized_trainer import OptimizedTrainer


def test_values_arrive_and_those_that_are_there_are_not_copied():
    values = torch.arange(3)
    assert sent_to(torch.device("cpu"), values) is values
    assert sent_to(torch.device("cpu"), values, torch.float64).tolist() == [0.0, 1.0, 2.0]


@pytest.fixture
def sent(monkeypatch):
    """Device and whether the copy is not waited for, of each copy; none is made: there is no such device here."""
    copies = []

    def to(values, *target, non_blocking=False):
        copies.extend((one.type, non_blocking) for one in target if isinstance(one, torch.device))
        return values

    monkeypatch.setattr(Tensor, "to", to)
    return copies


@pytest.mark.parametrize(("device", "is_not_waited_for"), [("cuda", True), ("mps", False)])
def test_only_an_apple_gpu_is_waited_for_which_reads_memory_later_than_it_is_given_back(
    device, is_not_waited_for, sent
):
    net = torch.nn.Linear(2, 1)
    trainer = OptimizedTrainer(net, torch.optim.SGD(net.parameters(), lr=0.1), torch.nn.functional.mse_loss, "cpu")
    trainer.device = torch.device(device)
    sent.clear()
    trainer.evaluate([(torch.rand(1, 1, 2, 2), torch.rand(1, 1, 2, 1))])
    trainer.evaluate([(torch.rand(1, 1, 2, 2), torch.rand(1, 1, 2, 1))])
    assert sent.count((device, is_not_waited_for)) == len([one for one in sent if one[0] == device]) == 4


@pytest.mark.parametrize(
    ("device", "waits"), [("cpu", []), ("cuda:1", [("cuda", torch.device("cuda:1"))]), ("mps", [("mps",)])]
)
def test_each_kind_of_device_is_waited_for_in_its_own_way(device, waits, monkeypatch):
    seen = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda *which: seen.append(("cuda", *which)))
    monkeypatch.setattr(torch.mps, "synchronize", lambda *which: seen.append(("mps", *which)))
    wait_for(torch.device(device))
    assert seen == waits
