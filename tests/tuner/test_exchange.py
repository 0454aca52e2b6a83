"""Networks for other programs: ONNX and torch.export, the same numbers for any batch."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from trainable.models.dense_experts import with_dense_experts
from trainable.models.moe import MixtureOfExperts
from trainable.predict import TrainedModel
from trainable.tasks.registry import get_task
from tuner import exchange
from tuner.exchange import ONNX, PROGRAM, check_exchangeable, input_size, write_onnx, write_program

EXCHANGEABLE = ("moe", "dishes", "leaf", "retina")


def fresh_model(workload: str, **changes) -> TrainedModel:
    """A small network of fresh weights, as one that was trained on pictures of 64 pixels."""
    task = get_task(workload)
    config = task.default_config()
    if hasattr(config, "trained_size_px"):
        config = replace(config, trained_size_px=(64, 64))
    config = replace(config, model=replace(config.model, **changes))
    torch.manual_seed(0)
    network = task.build_model(config).eval()
    return TrainedModel(config, network, task.predictor(config), torch.device("cpu"))


@pytest.mark.parametrize("routing", ["image", "token"])
@pytest.mark.parametrize("top_k", [1, 2])
def test_dense_experts_add_up_to_the_sparse_ones(routing, top_k):
    torch.manual_seed(0)
    sparse = MixtureOfExperts(16, num_experts=4, top_k=top_k, routing=routing).eval()
    images = torch.randn(3, 16, 6, 5)
    expected, found = sparse(images), with_dense_experts(sparse)(images)
    torch.testing.assert_close(found[0], expected[0], atol=1e-5, rtol=1e-5)
    assert torch.equal(found[1].expert_assignments, expected[1].expert_assignments)


@pytest.mark.slow
@pytest.mark.parametrize("workload", EXCHANGEABLE)
def test_each_classifier_and_the_masks_are_written_in_both_forms(workload, tmp_path):
    pytest.importorskip("onnxscript", reason="needs the extra onnx")
    model = fresh_model(workload)
    assert write_program(model, tmp_path / PROGRAM) <= 1e-4
    assert write_onnx(model, tmp_path / ONNX) <= 1e-4


def test_a_program_takes_batches_of_any_length_and_normalises_by_itself(tmp_path):
    model = fresh_model("dishes")
    assert write_program(model, tmp_path / PROGRAM) <= 1e-6
    program = torch.export.load(tmp_path / PROGRAM).module()
    images = torch.from_numpy(np.random.default_rng(5).random((7, 3, *input_size(model)), np.float32))
    with torch.no_grad():
        torch.testing.assert_close(program(images), model.network(images).predictions)


def test_a_program_that_computes_something_else_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(exchange, "TOLERANCE", -1.0)
    with pytest.raises(ValueError, match=r"model.pt2 would differ from the network by .* it was not kept"):
        write_program(fresh_model("dishes"), tmp_path / PROGRAM)
    assert not (tmp_path / PROGRAM).exists()


@pytest.mark.parametrize("spoilt", exchange.BATCHES)
def test_an_output_that_is_not_a_number_is_not_called_equal_to_the_network(spoilt, tmp_path):
    def written(images):
        return model.network(images).predictions * (torch.nan if len(images) == spoilt else 1.0)

    model, path = fresh_model("dishes"), tmp_path / ONNX
    path.touch()
    with pytest.raises(ValueError, match=r"model.onnx would differ from the network by nan .* it was not kept"):
        exchange._checked(model, written, path)
    assert not path.exists()


def test_at_a_full_disk_nothing_of_a_program_is_kept_and_the_error_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr(exchange, "_traced", lambda model: None)
    monkeypatch.setattr(torch.export, "save", lambda program, file: file.write(b"a program"))
    (tmp_path / PROGRAM).symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_program(fresh_model("dishes"), tmp_path / PROGRAM)
    assert caught.value.filename == str(tmp_path / PROGRAM)
    assert not list(tmp_path.iterdir())


def test_without_its_packages_onnx_is_refused_with_what_to_install(monkeypatch):
    monkeypatch.setattr(exchange, "find_spec", lambda package: None)
    with pytest.raises(ValueError, match=r"--onnx needs its packages; install them with: pip install 'vision-tuner\["):
        exchange.check_onnx()


@pytest.mark.parametrize("workload", ["agroforestry", "leaf_pretrain"])
def test_a_network_that_no_fixed_graph_holds_is_refused_with_the_reason(workload):
    with pytest.raises(ValueError, match=f"The network of {workload} can't be written as ONNX or torch.export: it "):
        check_exchangeable(workload)
