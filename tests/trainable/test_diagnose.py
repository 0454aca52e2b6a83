"""Each sign of a sick training is found, a healthy one is not called sick, and the command says so by its status."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from trainable.data.generated.leaf_pictures import LeafPictureConfig
from trainable.data.io.findings import Severity
from trainable.data.io.image_cache import CACHE_VARIABLE
from trainable.diagnose import (
    check_batches,
    check_classes,
    check_curve,
    check_gradients,
    check_images,
    check_outputs,
    check_size,
    diagnose,
    main,
)
from trainable.models.output import ModelOutput
from trainable.preset import main as preset_main
from trainable.tasks.registry import get_task
from trainable.workloads.exported_config import ExportedConfig

NAMES = ("clean", "dirty")


def severities(findings):
    return [finding.severity for finding in findings]


def parameter(gradient):
    tensor = nn.Parameter(torch.ones(2))
    tensor.grad = None if gradient is None else torch.full((2,), gradient)
    return tensor


def test_images_outside_0_to_1_or_not_finite_are_an_error():
    assert severities(check_images(torch.rand(2, 3, 4, 4))) == [Severity.NOTE]
    assert severities(check_images(torch.full((1, 3, 2, 2), 255.0))) == [Severity.ERROR]
    assert severities(check_images(torch.full((1, 3, 2, 2), float("nan")))) == [Severity.ERROR]


def test_predictions_that_are_not_finite_are_an_error():
    good = ModelOutput(predictions=torch.zeros(2, 2))
    assert severities(check_outputs(good, torch.tensor(0.7))) == [Severity.NOTE]
    assert severities(check_outputs(good, torch.tensor(float("inf")))) == [Severity.ERROR]


def test_every_parameter_without_a_gradient_is_named():
    findings = check_gradients({"head": parameter(0.1), "lost": parameter(None), "dead": parameter(0.0)})
    errors = {finding.file: finding.problem for finding in findings if finding.severity is Severity.ERROR}
    assert errors == {"lost": "has no gradient, none at all", "dead": "has no gradient, only zeros"}


def test_a_frozen_parameter_needs_no_gradient():
    frozen = parameter(None).requires_grad_(False)
    assert severities(check_gradients({"head": parameter(0.1), "frozen": frozen})) == [Severity.NOTE]


@pytest.mark.parametrize(
    ("gradient", "said"), [(1e-8, "below 1e-06"), (1e3, "above 100"), (1.0, "norm 1.41e+00")], ids=str
)
def test_the_norm_of_the_gradient_is_judged(gradient, said):
    (finding,) = check_gradients({"head": parameter(gradient)})
    assert said in finding.problem
    assert (finding.severity is Severity.NOTE) == (gradient == 1.0)


def test_a_network_below_a_hundred_thousand_parameters_is_called_small():
    assert "has 11 parameters" in check_size(nn.Linear(10, 1))[0].problem
    assert check_size(nn.Linear(1000, 100)) == []


def test_uneven_classes_are_counted_and_warned_of():
    (uneven,) = check_classes(np.array([0] * 9 + [1] * 2 + [-1]), NAMES)
    assert (uneven.problem, uneven.severity) == ("clean 9, dirty 2", Severity.WARNING)
    assert severities(check_classes(np.array([0] * 9 + [1] * 4), NAMES)) == [Severity.NOTE]


def test_batches_with_too_few_of_a_class_are_counted():
    batches = [(None, torch.tensor(labels)) for labels in ([0, 0, 0, 1], [0, 0, 1, 1], [0, 0, 0, 0])]
    (finding,) = check_batches(batches, NAMES)
    assert (finding.file, finding.problem) == ("dirty", "fewer than 2 images in 2 of 3 batches")


def test_a_training_far_better_than_its_validation_is_called_overfitted():
    assert check_curve({"train/accuracy": 0.9, "val/accuracy": 0.8}) == []
    (finding,) = check_curve({"train/accuracy": 0.99, "val/accuracy": 0.7})
    assert "overfits" in finding.action
    assert check_curve({"train/loss": 1.0}) == []


def test_a_training_that_answers_every_image_alike_is_warned_of():
    assert check_curve({"val/constant_share": 0.7, "val/accuracy": 0.7}) == []
    (finding,) = check_curve({"val/edema_constant_share": 1.0})
    assert (finding.file, finding.severity) == ("val/edema_constant_share", Severity.WARNING)
    assert "precision=fp32" in finding.action


def test_the_command_looks_a_preset_over(tmp_path, monkeypatch, caplog, capsys):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    config = tmp_path / "config.json"
    preset_main(["dishes", "balanced", str(config), "--json"])
    assert json.loads(capsys.readouterr().out) == {"config": str(config)}
    curve = tmp_path / "curve.jsonl"
    metrics = {"train/accuracy": 1.0, "val/accuracy": 0.5, "val/constant_share": 1.0}
    curve.write_text(json.dumps({"epoch": 1, "metrics": metrics}) + "\n")
    caplog.set_level("INFO", "trainable")
    assert main(["--config", str(config), "--curve", str(curve)]) == 0
    for said in ("shape (16, 3, 64, 64)", "clean 192, dirty 96", "gradient", "It overfits", "predictions are constant"):
        assert said in caplog.text


def test_a_pre_training_is_looked_over_with_the_looks_that_it_trains_on(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    few = LeafPictureConfig(picture_px=32, num_train=20, num_unlabelled=12, num_validation=10, num_test=15)
    config = get_task("leaf_pretrain").default_config()
    config = replace(config, batch_size=8, data=replace(config.data, leaves=few))
    findings = {finding.file: finding for finding in diagnose(ExportedConfig(config=config, data_fingerprint={}))}
    assert "shape (16, 128)" in findings["predictions"].problem, "two views of each of eight images"
    assert findings["gradient"].severity is Severity.NOTE


def test_what_cannot_be_read_is_a_sentence(tmp_path, caplog):
    assert main(["--config", str(tmp_path / "none.json")]) == 2
    assert "is not a file" in caplog.text


def test_a_batch_that_does_not_fit_is_a_sentence(tmp_path, caplog, monkeypatch):
    def full(exported):
        raise MemoryError("Unable to allocate 2.00 GiB")

    monkeypatch.setattr("trainable.diagnose.diagnose", full)
    assert preset_main(["dishes", "default", str(tmp_path / "config.json")]) == 0
    assert main(["--config", str(tmp_path / "config.json")]) == 2
    assert "error: Unable to allocate 2.00 GiB" in caplog.text


def test_the_groups_of_the_optimizer_are_printed_with_what_does_not_decay(tmp_path, caplog):
    caplog.set_level("INFO", "trainable.diagnose")
    out = tmp_path / "config.json"
    changes = ["backbone_lr_ratio=0.1", 'custom_layers=["backbone.stages.3"]', "custom_lr=2e-3", "max_lr=1e-3"]
    assert preset_main(["dishes", "default", str(out), *(word for one in changes for word in ("--set", one))]) == 0
    assert main(["--config", str(out), "--groups"]) == 0
    lines = caplog.text.splitlines()
    for part, rate in (("backbone", "1.00e-04"), ("custom", "2.00e-03"), ("heads", "1.00e-03")):
        assert any(f"{part:<8}  peak rate {rate}  weight decay 0.0001  " in line for line in lines)
        assert any(f"{part:<8}  peak rate {rate}  weight decay 0  " in line for line in lines)
    undecayed = {line.strip() for line in lines}
    assert {"head.bias", "backbone.stages.0.0.bias"} <= undecayed
    assert "head.weight" not in undecayed
