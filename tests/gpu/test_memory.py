"""Memory of a device: a shortage is survived in smaller micro-batches, and what was taken is given back."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from tests.gpu.small_data import SCENES
from trainable.techniques.memory import empty_cache
from trainable.training_run import TrainingRun

LARGE = {"batch_size": 16, "accumulation_steps": 1, "precision": "fp32", "augmentation": False}
"""One update of all training scenes an epoch."""
LARGE_SCENES = replace(SCENES, image_size_px=192)
"""So large that what a batch takes is most of the memory."""


@contextmanager
def memory_for(run: TrainingRun, share: float, peak_bytes: int):
    """A device that has only this share of the memory that the epochs of the whole batch took.

    A GPU's allocator gets that limit and fails by itself; on a CPU larger batches than that share do not fit.
    """
    if run.device.type == "cuda":
        total = torch.cuda.get_device_properties(run.device).total_memory
        torch.cuda.set_per_process_memory_fraction(share * peak_bytes / total, run.device)
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0, run.device)
        return

    def look(module, inputs):
        if module.training and len(inputs[0]) > share * LARGE["batch_size"]:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")

    hook = run.trainer.model.register_forward_pre_hook(look)
    try:
        yield
    finally:
        hook.remove()


def peak_reserved(device: torch.device, run: TrainingRun) -> int:
    """Bytes that one epoch of the run takes from the device."""
    if device.type != "cuda":
        return 0
    empty_cache(device)
    torch.cuda.reset_peak_memory_stats(device)
    run.run_epoch()
    return torch.cuda.max_memory_reserved(device)


def test_a_batch_that_does_not_fit_is_trained_in_parts_with_the_same_updates(opened, device, caplog):
    config, splits = opened("moe", data={"scenes": LARGE_SCENES}, **LARGE)
    peak_bytes = peak_reserved(device, TrainingRun(config, splits, device=device))
    empty_cache(device)
    run = TrainingRun(config, splits, device=device)
    with memory_for(run, 0.7, peak_bytes):
        first, second = run.run_epoch().metrics, run.run_epoch().metrics
    assert run.micro_batches.size < config.batch_size
    assert run.micro_batches.size * run.micro_batches.accumulation_steps == config.batch_size
    assert first["train/micro_batch"] == second["train/micro_batch"] == run.micro_batches.size
    assert "out of memory with micro-batches of 16" in caplog.text
    assert run.trainer.global_step == 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_an_epoch_that_ends_leaves_no_memory_of_its_steps_behind(opened):
    run = TrainingRun(*opened("moe", **LARGE), device="cuda")
    run.run_epoch()
    after_one = torch.cuda.memory_allocated()
    for _ in range(2):
        run.run_epoch()
    assert torch.cuda.memory_allocated() <= 1.02 * after_one
