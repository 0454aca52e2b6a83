"""Sizes of a network that are measured before it is trained, and a trial that breaks a limit."""

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from trainable.config import from_params
from trainable.models.camouflage_net import CamouflageNet
from trainable.ray.trainable import REPORT
from trainable.tasks.registry import get_task
from trainable.techniques.optim.precision import Precision
from trainable.training_run import TrainingRun
from trainable.workloads.limits import TIMED_PASSES, WARMUP_PASSES, first_over, measure

CPU = torch.device("cpu")


def test_parameters_are_counted_as_the_built_network_has_them(disc_config):
    splits = get_task("moe").open_data(disc_config)
    built = get_task("moe").build_model(replace(disc_config, model=replace(disc_config.model, weights="scratch")))
    assert measure(disc_config, splits, CPU, ["params_m"]) == {
        "params_m": sum(parameter.numel() for parameter in built.parameters()) / 1e6
    }


def test_a_wider_network_has_more_parameters_and_a_latency_is_a_positive_time(disc_config):
    splits = get_task("moe").open_data(disc_config)
    wide = replace(disc_config, model=replace(disc_config.model, pyramid_channels=64))
    found, wider = (measure(one, splits, CPU, ["params_m", "latency_ms"]) for one in (disc_config, wide))
    assert wider["params_m"] > found["params_m"] > 0
    assert found["latency_ms"] > 0


def test_a_latency_ends_when_the_device_has_computed_the_pass(disc_config, monkeypatch):
    seen, forward = [], CamouflageNet.forward
    monkeypatch.setattr(CamouflageNet, "forward", lambda *given: seen.append("pass") or forward(*given))
    monkeypatch.setattr("trainable.workloads.limits.wait_for", lambda device: seen.append(device.type))
    measure(disc_config, get_task("moe").open_data(disc_config), CPU, ["latency_ms"])
    assert seen == ["pass", "cpu"] * (WARMUP_PASSES + TIMED_PASSES)


def test_memory_is_measured_of_updates_as_the_training_makes_them(disc_config, monkeypatch):
    """In the training's precision, with the second view of the contrastive term, a whole window, and nothing frozen."""
    seen, forward = [], CamouflageNet.forward

    def spied(network, images):
        seen.append((images.shape, sum(parameter.requires_grad for parameter in network.parameters())))
        return forward(network, images)

    def recorded(precision):
        # Records the precision without using it: on a CPU without instructions for it, that takes seconds.
        seen.append(precision.name)
        return nullcontext()

    monkeypatch.setattr(CamouflageNet, "forward", spied)
    monkeypatch.setattr(Precision, "autocast", recorded)
    changes = {"precision": "bf16", "contrastive": True, "batch_size": 2, "accumulation_steps": 2, "unfreezing": True}
    config = from_params(changes, disc_config)
    splits = get_task("moe").open_data(config)
    assert measure(config, splits, CPU, ["peak_gib"])["peak_gib"] > 0
    run, measured = TrainingRun(replace(config, unfreezing=None), splits), seen.copy()
    seen.clear()
    window = [(torch.rand(2, 3, *splits.train.images.shape[1:3]), torch.ones(2, 1, *splits.train.masks.shape[1:]))] * 2
    run.trainer.train_epoch(window, 0, accumulation_steps=2)
    # Two updates: the moments of the optimizer lie there from the second on.
    assert measured == seen * 2


@pytest.mark.parametrize(
    ("limits", "broken"),
    [
        ({"params_m": 2.0}, None),
        ({"params_m": 1.5}, None),
        ({"params_m": 1.0}, {"quantity": "params_m", "measured": 1.5, "limit": 1.0}),
        ({"latency_ms": 9.0, "params_m": 1.0}, {"quantity": "params_m", "measured": 1.5, "limit": 1.0}),
    ],
)
def test_the_first_limit_that_is_exceeded_is_reported(limits, broken):
    assert first_over(limits, {"params_m": 1.5, "latency_ms": 5.0}) == broken


def test_a_trial_over_a_limit_ends_before_its_training_and_the_next_one_in_the_process_runs(begin, tmp_path):
    process = begin({"pyramid_channels": 64})
    process.limits = {"params_m": 1e-4}
    report = process.step()[REPORT]
    assert report.result is None
    assert report.ending.outcome == "over_limit"
    assert report.ending.numbers.keys() == {"quantity", "measured", "limit"}
    process.limits = {"params_m": 100.0}
    process.reset_config(process.config)
    result = process.step()[REPORT].result
    assert 0 < result.metrics["limit/params_m"] < 100


def test_measuring_changes_nothing_of_the_training(begin):
    with_limits, without = begin({"max_lr": 1e-3}), begin({"max_lr": 1e-3})
    with_limits.limits = {"params_m": 100.0, "latency_ms": 1e6}
    assert with_limits.step()[REPORT].result.objective == without.step()[REPORT].result.objective
