import pickle
import random
from functools import partial

import numpy as np
import pytest
import torch

from tests.gpu.test_waits import Crossings
from trainable.techniques.checkpoint import (
    CheckpointError,
    counts_on_cpu,
    load_optimizer_state,
    random_state,
    read_checkpoint,
    restore_random_state,
    write_checkpoint,
)


def test_what_was_written_is_read(tmp_path):
    write_checkpoint(tmp_path / "a" / "c.pt", {"epoch": 3, "weights": {"w": torch.arange(3)}})
    state = read_checkpoint(tmp_path / "a" / "c.pt")
    assert state["epoch"] == 3
    assert state["weights"]["w"].tolist() == [0, 1, 2]


def test_a_failed_write_leaves_the_former_checkpoint_whole(tmp_path):
    path = tmp_path / "c.pt"
    write_checkpoint(path, {"epoch": 1})
    with pytest.raises(AttributeError):
        write_checkpoint(path, {"epoch": lambda: 2})
    assert read_checkpoint(path)["epoch"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["c.pt"]


class Attack:
    def __reduce__(self):
        return (print, ("code from the file ran",))


def test_code_in_a_checkpoint_is_refused_not_run(tmp_path, capsys):
    torch.save({"format": 1, "epoch": Attack()}, tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match="holds pickled code, which is not run"):
        read_checkpoint(tmp_path / "c.pt")
    assert "ran" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "is not a file"),
        (b"", "can't be read"),
        (b"no checkpoint", "can't be read"),
        (pickle.dumps(3), "can't be read"),
    ],
)
def test_files_that_are_no_checkpoint_are_named(tmp_path, content, sentence):
    path = tmp_path / "c.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=sentence):
        read_checkpoint(path)


def test_another_format_is_refused(tmp_path):
    torch.save({"format": 99}, tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match="format 99; this version reads format 1"):
        read_checkpoint(tmp_path / "c.pt")


def test_every_generator_continues_where_it_was(tmp_path):
    write_checkpoint(tmp_path / "c.pt", {"random": random_state()})
    expected = (random.random(), np.random.rand(), torch.rand(1).item())
    restore_random_state(read_checkpoint(tmp_path / "c.pt")["random"])
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == expected


def test_moments_are_restored_and_hyper_parameters_are_not():
    weight = torch.nn.Parameter(torch.ones(2))
    old = torch.optim.AdamW([weight], lr=0.1, weight_decay=0.5)
    weight.grad = torch.ones(2)
    old.step()
    new = torch.optim.AdamW([weight], lr=0.7, weight_decay=0.0, betas=(0.5, 0.6))
    load_optimizer_state(new, old.state_dict())
    assert (new.param_groups[0]["lr"], new.param_groups[0]["weight_decay"]) == (0.7, 0.0)
    assert new.param_groups[0]["betas"] == (0.5, 0.6)
    assert new.state[weight]["exp_avg"].tolist() == old.state[weight]["exp_avg"].tolist()


@pytest.mark.parametrize(
    ("former", "now"),
    [
        (partial(torch.optim.AdamW, fused=True), torch.optim.RMSprop),
        (partial(torch.optim.SGD, momentum=0.9), partial(torch.optim.AdamW, fused=True)),
        (torch.optim.RMSprop, partial(torch.optim.RMSprop, momentum=0.9)),
    ],
)
def test_another_algorithm_continues_with_fresh_moments(former, now):
    weight, alone = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    old, new, fresh = former([weight], lr=0.1), now([weight], lr=0.1), now([alone], lr=0.1)
    weight.grad, alone.grad = torch.ones(2), torch.ones(2)
    old.step()
    with torch.no_grad():
        weight.fill_(1.0)
    load_optimizer_state(new, old.state_dict())
    new.step()
    fresh.step()
    assert torch.equal(weight, alone)


def test_step_counts_come_to_lie_on_the_cpu_wherever_the_checkpoint_was_read_to():
    """Torch's meta device stands for a GPU: what lies there can't be read without it."""
    saved = {"state": {0: {"step": torch.tensor(3.0, device="meta"), "exp_avg": torch.zeros(2, device="meta")}}}
    with Crossings():
        state = counts_on_cpu(saved | {"param_groups": []})
    assert state["state"][0]["step"].device.type == "cpu"
    assert state["state"][0]["exp_avg"].device.type == "meta"
