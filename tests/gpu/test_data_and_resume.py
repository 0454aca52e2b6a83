"""Where the data lies, in which memory format it is trained, and that a checkpoint goes from device to device."""

import pytest
import torch

from trainable.config import from_params
from trainable.tasks.registry import get_task
from trainable.training_run import TrainingRun

CPU = torch.device("cpu")
PLAIN = {"precision": "fp32", "augmentation": False}


def batches_on(device, config, splits):
    batches = get_task("moe").training_batches(config, splits.train, device)
    batches.set_epoch(1)
    return list(batches)


def test_a_small_set_lies_on_the_device_and_gives_the_batches_of_the_cpu(opened, device):
    config, splits = opened("moe", **PLAIN)
    pairs = zip(batches_on(device, config, splits), batches_on(CPU, config, splits), strict=True)
    for (images, masks), (expected_images, expected_masks) in pairs:
        assert (images.device.type, masks.device.type) == (device.type, device.type)
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(images.cpu(), expected_images)
        assert torch.equal(masks.cpu(), expected_masks)


def test_a_checkpoint_of_a_device_continues_on_a_cpu(opened, device, tmp_path):
    config, splits = opened("moe", **PLAIN)
    run = TrainingRun(config, splits, device=device)
    run.run_epoch()
    run.save(tmp_path / "checkpoint.pt")
    resumed = TrainingRun(config, splits, device=CPU)
    resumed.restore(tmp_path / "checkpoint.pt")
    here, there = (
        one.trainer.evaluate(get_task("moe").evaluation_batches(config, splits.validation, one.device)).flat
        for one in (run, resumed)
    )
    assert resumed.epoch == 1
    assert here["loss"] == pytest.approx(there["loss"], rel=0.01)


def test_a_checkpoint_of_a_cpu_continues_on_a_device(opened, device, tmp_path):
    config, splits = opened("moe", **PLAIN)
    run = TrainingRun(config, splits, device=CPU)
    run.run_epoch()
    run.save(tmp_path / "checkpoint.pt")
    resumed = TrainingRun(config, splits, device=device)
    resumed.restore(tmp_path / "checkpoint.pt")
    assert resumed.run_epoch().metrics["train/loss"] == pytest.approx(run.run_epoch().metrics["train/loss"], rel=0.02)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_both_memory_formats_train_alike(opened, device, precision):
    losses = []
    for channels_last in (True, False):
        config, splits = opened("agroforestry", batch_size=4)
        config = from_params({"channels_last": channels_last, "precision": precision}, config)
        losses.append(TrainingRun(config, splits, device=device).run_epoch().metrics["train/loss"])
    assert losses[0] == pytest.approx(losses[1], rel=0.02 if precision == "fp32" else 0.1)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_what_the_compiler_makes_of_the_network_trains_like_the_network(opened, precision):
    losses = []
    for backend in (None, "inductor"):
        config, splits = opened("moe", **PLAIN | {"precision": precision})
        config = from_params({"compile_backend": backend}, config)
        losses.append(TrainingRun(config, splits, device="cuda").run_epoch().metrics["train/loss"])
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_weights_are_tested_and_handed_over_as_tensors_of_the_cpu(opened, device):
    config, splits = opened("moe", **PLAIN | {"test_time_augmentation": True})
    run = TrainingRun(config, splits, device=device)
    run.run_epoch()
    assert {weight.device for weight in run.handed_over.weights.values()} == {CPU}
    assert 0 <= run.test()["s_measure"] <= 1
