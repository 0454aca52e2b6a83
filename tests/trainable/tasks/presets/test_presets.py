"""Every strategy of every workload is a configuration of its own, and holds the numbers of its document."""

import pytest
import torch

from search_spaces.builtin.leaf import recommended_row
from trainable.config import flat_params, to_dict
from trainable.tasks.registry import TASKS, get_task
from trainable.workloads.registry import read_config

NAMED = [(workload, name) for workload in TASKS for name in get_task(workload).presets]


def config_of(workload, name, source="somewhere"):
    task = get_task(workload)
    return task.presets[name].over(task.default_config(source), has_folder=source is not None)


@pytest.mark.parametrize("source", [None, "somewhere"], ids=["embedded", "folder"])
@pytest.mark.parametrize(("workload", "name"), NAMED)
def test_a_preset_is_a_configuration_unlike_the_default_and_all_others(workload, name, source):
    config = config_of(workload, name, source)
    assert read_config(to_dict(config)) == config
    if (workload, name) == ("moe", "memory_24gb"):
        pytest.skip("the documents' row for 24 GB is what the default has; it is there to be joined with others")
    others = [config_of(workload, other, source) for other in get_task(workload).presets if other != name]
    assert config not in [get_task(workload).default_config(source), *others]


DOCUMENTED = {
    "moe/document": {
        "max_epochs": 100, "batch_size": 8, "accumulation_steps": 2, "algorithm": "adamw", "max_lr": 1e-4,
        "weight_decay": 1e-4, "warmup_fraction": 0.05, "min_lr_ratio": 1e-6 / 1e-4, "max_grad_norm": 1.0,
        "num_experts": 4, "alpha_l2": 0.01, "alpha_cv": 0.01, "collapse_threshold": 0.4,
        "initial_strength": 0.3, "max_strength": 0.8, "start_fraction": 0.2, "ramp_fraction": 0.1,
    },
    "moe/small_data": {"max_lr": 5e-5, "warmup_fraction": 0.03, "min_lr_ratio": 1e-6 / 5e-5},
    "moe/medium_data": {"max_lr": 1e-4, "warmup_fraction": 0.05, "min_lr_ratio": 1e-6 / 1e-4},
    "moe/large_data": {"max_lr": 2e-4, "warmup_fraction": 0.1, "min_lr_ratio": 1e-6 / 2e-4},
    "moe/memory_8gb": {"batch_size": 2, "accumulation_steps": 8},
    "moe/memory_16gb": {"batch_size": 4, "accumulation_steps": 4},
    "moe/memory_24gb": {"batch_size": 8, "accumulation_steps": 2},
    "moe/memory_40gb": {"batch_size": 16, "accumulation_steps": 1},
    "moe/epochs_50": {
        "max_epochs": 50, "start_fraction": 15 / 50, "ramp_fraction": 10 / 50, "initial_strength": 0.3,
        "max_strength": 0.7,
    },
    "moe/epochs_100": {
        "max_epochs": 100, "start_fraction": 20 / 100, "ramp_fraction": 10 / 100, "initial_strength": 0.3,
        "max_strength": 0.8,
    },
    "moe/epochs_200": {
        "max_epochs": 200, "start_fraction": 40 / 200, "ramp_fraction": 10 / 200, "initial_strength": 0.3,
        "max_strength": 0.9,
    },
    "moe/experts_4": {"num_experts": 4, "alpha_l2": 0.01, "alpha_cv": 0.01, "collapse_threshold": 0.1 * 4},
    "moe/experts_6": {"num_experts": 6, "alpha_l2": 0.01, "alpha_cv": 0.01, "collapse_threshold": 0.05 * 6},
    "moe/experts_8": {"num_experts": 8, "alpha_l2": 0.02, "alpha_cv": 0.02, "collapse_threshold": 0.03 * 8},
    "moe/collapsing": {"alpha_l2": 0.05, "alpha_cv": 0.05, "router_noise": 0.1, "capacity_factor": 1.0},
    "moe/not_finite": {"precision": "fp32", "max_grad_norm": 0.5, "warmup_fraction": 0.1},
    "moe/out_of_memory": {"batch_size": 2, "accumulation_steps": 8, "gradient_checkpointing": True},
    "moe/unstable_augmentation": {
        "initial_strength": 0.2, "max_strength": 0.6, "start_fraction": 0.3, "ramp_fraction": 0.2,
    },
    "moe/stage_2": {
        "max_epochs": 70, "max_lr": 5e-5, "start_fraction": 10 / 70, "initial_strength": 0.3, "max_strength": 0.8,
    },
    "dishes/document": {
        "backbone": "small", "image_size_px": 224, "max_epochs": 10, "batch_size": 16, "max_lr": 1e-3,
        "weight_decay": 1e-4, "algorithm": "adam", "schedule_kind": "step", "step_fraction": 0.5, "step_factor": 0.1,
        "class_weights": "inverse", "patience_epochs": 5, "min_delta": 0.001, "monitor": "val/accuracy",
    },
    "dishes/low": {"backbone": "mobilenet_v3_small", "batch_size": 8, "max_epochs": 15},
    "dishes/medium": {"backbone": "small", "batch_size": 16, "max_epochs": 10},
    "dishes/high": {"backbone": "resnet50", "batch_size": 32, "max_epochs": 20},
    "dishes/cpu": {
        "max_epochs": 15, "batch_size": 8, "accumulation_steps": 4, "max_train_batches": 50, "precision": "fp32",
        "patience_epochs": 3, "image_size_px": 224,
    },
    "dishes/balanced": {
        "batch_size": 16, "max_epochs": 10, "schedule_kind": "cosine", "severity": "photograph",
        "class_weights": "inverse", "patience_epochs": 5, "image_size_px": 224,
    },
    "dishes/cluster": {
        "backbone": "resnet50", "batch_size": 64, "max_epochs": 50, "tta_flips": True, "image_size_px": 224,
    },
    "dishes/regularised": {
        "dropout": 0.5, "weight_decay": 1e-3, "batch_size": 8, "max_lr": 1e-4, "label_smoothing": 0.1,
        "mixup_alpha": 0.2, "patience_epochs": 3,
    },
    "agroforestry/document": {
        "tile_px": 512, "overlap_px": 64, "batch_size": 4, "accumulation_steps": 2, "algorithm": "adamw",
        "max_lr": 1e-4, "weight_decay": 0.01, "max_epochs": 100, "max_grad_norm": 1.0, "precision": "fp32",
        "patience_epochs": 20, "instance_weight": 1.0, "crown_weight": 0.5, "num_instance_classes": 3,
        "num_semantic_classes": 6,
    },
    "agroforestry/laptop": {"tile_px": 256, "batch_size": 2, "accumulation_steps": 4},
    "agroforestry/light": {
        "algorithm": "adam", "max_lr": 5e-4, "schedule_kind": "plateau", "max_epochs": 50, "patience_epochs": 10,
    },
    "agroforestry/transfer": {"weights": "imagenet", "max_lr": 1e-4, "backbone_lr_ratio": 0.1},
    "agroforestry/out_of_memory": {"batch_size": 1, "accumulation_steps": 8, "gradient_checkpointing": True},
    "agroforestry/slow_training": {"precision": "auto", "batch_size": 8, "channels_last": True},
    "leaf_pretrain/document": {
        "encoder": "documented", "image_size_px": 256, "gradient_checkpointing": True, "max_epochs": 100,
        "batch_size": 64, "max_lr": 3e-4, "weight_decay": 1e-4, "warmup_fraction": 0.1, "temperature": 0.07,
        "projection_channels": 128, "smallest_crop_area": 0.2, "colour_strength": 0.8,
    },
    "leaf/document": {
        "spectral_attention": True, "drop_path": 0.2, "max_epochs": 100, "batch_size": 32, "max_lr": 1e-4,
        "weight_decay": 0.01, "warmup_fraction": 0.05, "mixup_alpha": 0.8, "cutmix_alpha": 1.0, "focal_gamma": 2.0,
        "focal_share": 0.5, "label_smoothing": 0.1, "severity": "moderate", "patience_epochs": 15, "min_delta": 0.001,
        "accumulation_steps": 2, "half_life_epochs": 0.5, "tta_flips": True,
    },
    "leaf/small_data": {
        "batch_size": 16, "accumulation_steps": 1, "max_lr": 5e-5, "warmup_fraction": 0.10, "weight_decay": 0.05,
        "drop_path": 0.3,
    },
    "leaf/medium_data": {
        "batch_size": 32, "accumulation_steps": 1, "max_lr": 1e-4, "warmup_fraction": 0.05, "weight_decay": 0.01,
        "drop_path": 0.2,
    },
    "leaf/large_data": {
        "batch_size": 64, "accumulation_steps": 2, "max_lr": 3e-4, "warmup_fraction": 0.03, "weight_decay": 0.001,
        "drop_path": 0.1,
    },
    "leaf/not_converging": {
        "max_lr": 1e-5, "warmup_fraction": 0.15, "severity": "light", "class_weights": "inverse",
    },
    "leaf/not_finite": {"max_lr": 1e-6, "max_grad_norm": 1.0, "precision": "fp32"},
    "leaf/poor_generalisation": {"weight_decay": 0.05, "drop_path": 0.3, "severity": "aggressive"},
    "retina/document": {
        "backbone": "efficientnet_v2_s", "image_size_px": 512, "max_epochs": 50, "batch_size": 16, "max_lr": 1e-4,
        "weighting": "uncertainty", "milestones": ((0.0, 0.0), (0.12, 0.25), (0.22, 0.5), (0.32, 1.0)),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_preset_holds_the_numbers_of_its_document(name):
    params = flat_params(config_of(*name.split("/")))
    assert {key: params[key] for key in DOCUMENTED[name]} == DOCUMENTED[name]


def test_every_preset_of_moe_but_the_first_stage_holds_numbers():
    assert {f"moe/{name}" for name in get_task("moe").presets} - DOCUMENTED.keys() == {"moe/stage_1"}


def test_the_first_stage_of_two_trains_thirty_epochs_without_augmentation():
    config = config_of("moe", "stage_1")
    assert (config.max_epochs, config.augmentation) == (30, None)


@pytest.mark.parametrize(
    ("num_images", "name"),
    [(4_999, "small_data"), (5_000, "medium_data"), (50_000, "medium_data"), (50_001, "large_data")],
)
def test_a_search_recommends_the_row_of_leaf_that_the_preset_has(num_images, name):
    row, config = recommended_row(num_images), config_of("leaf", name)
    params = flat_params(config) | {"effective_batch": config.batch_size * config.accumulation_steps}
    assert {key: params[key] for key in row} == row


@pytest.mark.parametrize(
    ("name", "epoch", "rate"),
    [
        ("dishes/document", 4, 1e-3),
        ("dishes/document", 5, 1e-4),
        ("agroforestry/document", 100, 1e-7),
        ("agroforestry/one_cycle", 0, 4e-5),
        ("agroforestry/one_cycle", 30, 1e-3),
        ("agroforestry/one_cycle", 100, 4e-9),
        ("agroforestry/warm_restarts", 9.999999, 1e-7),
        ("agroforestry/warm_restarts", 10.000001, 1e-4),
        ("agroforestry/exponential", 10, 1e-4 * 0.95**10),
        ("leaf_pretrain/document", 10, 3e-4),
        ("retina/document", 50, 1e-6),
    ],
)
def test_a_preset_follows_the_documented_learning_rate(name, epoch, rate):
    config = config_of(*name.split("/"))
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=config.optimizer.max_lr)
    schedule = config.schedule.build(
        optimizer, total_epochs=config.max_epochs, max_lr=config.optimizer.max_lr, mode="max"
    )
    assert schedule.lr_at(epoch) == pytest.approx(rate, rel=1e-3)


@pytest.mark.parametrize("workload", ["agroforestry", "leaf", "retina"])
def test_the_recipe_against_too_little_memory_trains_the_same_update(workload):
    document, frugal = config_of(workload, "document"), config_of(workload, "out_of_memory")
    assert frugal.batch_size < document.batch_size
    updates = [config.batch_size * config.accumulation_steps for config in (document, frugal)]
    assert updates[0] == updates[1]


def test_patiences_are_the_documented_epochs():
    light, plateau = (config_of("agroforestry", name) for name in ("light", "plateau"))
    assert [config.schedule.plateau_patience_fraction * config.max_epochs for config in (light, plateau)] == [5, 10]


def test_as_two_trainings_the_first_sees_half_the_side_throughout_and_the_second_all_of_it_at_the_documented_rate():
    first, second = config_of("agroforestry", "stage_1"), config_of("agroforestry", "stage_2")
    sides = [first.progressive_resolution.build(first.max_epochs).side_px(512, epoch) for epoch in (0, 29)]
    assert (first.max_epochs, sides) == (30, [256, 256])
    assert (second.progressive_resolution, second.optimizer.max_lr) == (None, 1e-5)


def test_the_first_stage_of_progressive_resolution_is_the_documented_one():
    config = config_of("agroforestry", "progressive")
    sides = [config.progressive_resolution.build(config.max_epochs).side_px(512, epoch) for epoch in (0, 29, 30)]
    assert sides == [256, 256, 512]
