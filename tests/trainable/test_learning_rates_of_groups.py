"""Each group of parameters follows the configured schedule at its own rate, epoch by epoch."""

import math
from dataclasses import replace

import pytest

from trainable.build_trainer import build_trainer
from trainable.config import from_params, to_dict
from trainable.configuration.config_options import with_params
from trainable.tasks.registry import get_task
from trainable.workloads.registry import read_config

EPOCHS, WARMUP_EPOCHS, FLOOR = 10, 2, 0.01
RATES = {"backbone": 1e-5, "heads": 1e-4, "custom": 2e-4}
"""The document's."""


def documented_config():
    task = get_task("agroforestry")
    config = from_params({"pyramid_channels": 8, "max_epochs": EPOCHS, "max_lr": 1e-4}, task.default_config())
    params = {
        "backbone_lr": 1e-5,
        "custom_layers": ["density_head", "crown_head"],
        "custom_lr": 2e-4,
        "warmup_epochs": WARMUP_EPOCHS,
        "min_lr_ratio": FLOOR,
    }
    return task, with_params(config, params)


def cosine(epoch, peak):
    if epoch < WARMUP_EPOCHS:
        return peak * (FLOOR + (1 - FLOOR) * epoch / WARMUP_EPOCHS)
    share = (epoch - WARMUP_EPOCHS) / (EPOCHS - WARMUP_EPOCHS)
    return peak * (FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * share)))


def part_of(name):
    first = name.split(".")[0]
    return {"backbone": "backbone", "density_head": "custom", "crown_head": "custom"}.get(first, "heads")


def test_three_rates_are_in_the_optimizer_at_every_epoch_what_the_configuration_says():
    task, config = documented_config()
    trainer = build_trainer(task, config, updates_per_epoch=4, device="cpu")
    names = {id(parameter): name for name, parameter in trainer.model.named_parameters()}
    for epoch in range(EPOCHS + 1):
        trainer.scheduler.step(epoch)
        for group in trainer.optimizer.param_groups:
            for parameter in group["params"]:
                expected = cosine(epoch, RATES[part_of(names[id(parameter)])])
                assert group["lr"] == pytest.approx(expected), (epoch, names[id(parameter)])


def test_a_third_rate_survives_the_file_and_files_without_one_have_none():
    _, config = documented_config()
    written = to_dict(config)
    assert read_config(written) == config
    older = {name: value for name, value in written["optimizer"].items() if not name.startswith("custom_")}
    none = replace(config.optimizer, custom_layers=None, custom_lr_ratio=None)
    assert read_config({**written, "optimizer": older}).optimizer == none


def test_an_epoch_reports_the_rate_of_the_fastest_part_and_those_of_slower_ones():
    task, config = documented_config()
    scheduler = build_trainer(task, config, updates_per_epoch=4, device="cpu").scheduler
    scheduler.step(WARMUP_EPOCHS)
    assert scheduler.named_rates() == pytest.approx({"lr": 2e-4, "lr_backbone": 1e-5, "lr_heads": 1e-4})
    alike = from_params({"max_epochs": EPOCHS}, task.default_config())
    assert build_trainer(task, alike, updates_per_epoch=4, device="cpu").scheduler.named_rates().keys() == {"lr"}
