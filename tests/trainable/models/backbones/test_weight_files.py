"""A network that starts from another one's weights: parts that fit are taken whole, and what was taken is logged."""

import pytest
import torch
from torch import nn

from trainable.build_trainer import build_trainer
from trainable.config import from_params
from trainable.models.backbones.weight_files import by_part, load_fitting_parts
from trainable.tasks.registry import get_task


def network(seed, **params):
    torch.manual_seed(seed)
    task = get_task("moe")
    return task.build_model(from_params({"pyramid_channels": 8, **params}, task.default_config()))


@pytest.fixture
def weights(tmp_path):
    torch.save(network(0).state_dict(), tmp_path / "weights.pt")
    return str(tmp_path / "weights.pt")


def same_parts(model, path):
    theirs, own = by_part(torch.load(path, weights_only=True)), by_part(model.state_dict())
    return {
        part
        for part, tensors in own.items()
        if theirs[part].keys() == tensors.keys()
        and all(torch.equal(tensor, theirs[part][name]) for name, tensor in tensors.items())
    }


def test_the_same_network_is_taken_over_whole_heads_and_experts_too(weights):
    model = network(1)
    load_fitting_parts(model, weights)
    assert same_parts(model, weights) == set(by_part(model.state_dict()))


def test_a_part_of_another_shape_starts_fresh_as_a_whole_and_the_log_says_so(weights, caplog):
    caplog.set_level("INFO")
    model, fresh = network(1, num_experts=6), network(1, num_experts=6).state_dict()
    load_fitting_parts(model, weights)
    differing = set(by_part(model.state_dict())) - same_parts(model, weights)
    assert len(differing) == 1
    part = differing.pop()
    assert all(torch.equal(tensor, fresh[name]) for name, tensor in by_part(model.state_dict())[part].items())
    assert f"starts fresh: {part} (" in caplog.text
    assert f"not used: {part} (" in caplog.text


def test_a_training_takes_over_the_parts_of_its_configuration(weights):
    task = get_task("moe")
    config = from_params({"pyramid_channels": 8, "init_weights": weights}, task.default_config())
    trainer = build_trainer(task, config, updates_per_epoch=1, device="cpu")
    assert same_parts(trainer.model, weights) == set(by_part(trainer.model.state_dict()))


def test_without_them_only_the_backbone_is_taken(weights):
    model = network(1, weights=weights)
    assert same_parts(model, weights) == {"backbone"}


def test_a_part_is_taken_with_its_extra_state_which_is_no_tensor_to_count(tmp_path, caplog):
    class Scaled(nn.Linear):
        scale = 1

        def get_extra_state(self):
            return {"scale": self.scale}

        def set_extra_state(self, state):
            self.scale = state["scale"]

    trained, fresh = (nn.ModuleDict({"head": Scaled(2, 1)}) for _ in range(2))
    trained["head"].scale = 7
    torch.save(trained.state_dict(), tmp_path / "weights.pt")
    with caplog.at_level("INFO"):
        load_fitting_parts(fresh, str(tmp_path / "weights.pt"))
    assert fresh["head"].scale == 7
    assert torch.equal(fresh["head"].weight, trained["head"].weight)
    assert "took head (2 tensors)" in caplog.text
