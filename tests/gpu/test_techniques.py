"""Every technique in every way of computing: it trains on the device, and a resume goes on as if nothing had been."""

import math
from typing import Any

import pytest
import torch

from tests.gpu.techniques import TECHNIQUES, WAYS
from trainable.config import from_params
from trainable.training_run import TrainingRun

CPU = torch.device("cpu")
TOLERANCE = {"fp32": 0.02, "bf16": 0.1, "fp16": 0.1}
"""Largest relative difference of a loss after a resume: kernels of a GPU add in an order of their own."""
QUICK = [("contrastive views", "bf16"), ("mixing of labels", "accumulated"), ("GradNorm", "fp32")]
"""These run on a CPU with every test, all others with `make test-slow`."""


def weights_of(run: TrainingRun) -> torch.Tensor:
    parameters = [p for group in run.trainer.optimizer.param_groups for p in group["params"]]
    return torch.cat([parameter.detach().flatten().float() for parameter in parameters])


def check(opened, technique: str, way: str, device: torch.device, folder) -> None:
    workload, params = TECHNIQUES[technique]
    config, splits = opened(workload)
    changed: dict[str, Any] = params | WAYS[way]
    if workload == "agroforestry" and "batch_size" in changed:
        changed["batch_size"] = min(changed["batch_size"], 4)
    config = from_params(changed, config)
    run = TrainingRun(config, splits, device=device)
    before = weights_of(run)
    result = run.run_epoch()
    assert {p.device.type for p in run.trainer.model.parameters()} == {device.type}
    assert all(math.isfinite(value) for value in result.metrics.values())
    if device.type == "cuda":
        assert result.precision == config.precision
    # Losses in fp16 are scaled; the first updates may be skipped while the scale settles.
    assert result.precision == "fp16" or not torch.equal(before, weights_of(run))
    check_resume(run, config, splits, device, folder)


def check_resume(run: TrainingRun, config, splits, device: torch.device, folder) -> None:
    run.save(folder / "checkpoint.pt")
    saved, undisturbed = weights_of(run), run.run_epoch()
    resumed = TrainingRun(config, splits, device=device)
    resumed.restore(folder / "checkpoint.pt")
    assert torch.equal(saved, weights_of(resumed))
    found = resumed.run_epoch()
    name = "train/loss"
    if device == CPU:
        assert found.metrics == undisturbed.metrics
    else:
        assert found.metrics[name] == pytest.approx(undisturbed.metrics[name], rel=TOLERANCE[found.precision], abs=0.01)


@pytest.mark.timeout(600)
# Tracing the crowns' network, torch looks at gradients that are not there, and torchvision calls what is deprecated.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.filterwarnings("ignore:.*create_unbacked_symint:FutureWarning")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_technique_trains_and_resumes_in_every_way_of_computing(opened, technique, way, device, tmp_path):
    check(opened, technique, way, device, tmp_path)


@pytest.mark.parametrize(("technique", "way"), QUICK)
def test_what_is_checked_on_a_gpu_holds_on_a_cpu(opened, technique, way, tmp_path):
    check(opened, technique, way, CPU, tmp_path)
