"""The presets of `dishes` by name.

    python -m trainable.preset dishes balanced config.json

document: the configuration file of the documents. cpu: a slow machine, small batches accumulated, short epochs.
balanced: one GPU, every remedy against imbalance. cluster: a large network, strong augmentation, averaged views at the
test. regularised: when training is far better than validation. low, medium, high: the network, batch and length for a
machine of that strength.
"""

from collections.abc import Mapping

from trainable.tasks.presets.preset import Preset

_STANDSTILL = {"early_stopping": True, "patience_epochs": 5, "min_delta": 0.001}
_FULL_SIZE = {"image_size_px": 224}
_IMBALANCED = {"batch_size": 16, "max_epochs": 10, "weight_decay": 1e-4, "class_weights": "inverse"}

PRESETS: Mapping[str, Preset] = {
    "document": Preset(
        params=_IMBALANCED
        | _STANDSTILL
        | {
            "backbone": "small",
            "algorithm": "adam",
            "max_lr": 1e-3,
            "schedule_kind": "step",
            "warmup_fraction": 0.0,
            "step_fraction": 0.5,
            "step_factor": 0.1,
            "severity": "photograph",
            "monitor": "val/accuracy",
        },
        of_folder={**_FULL_SIZE, "split_fractions": (0.8, 0.1, 0.1)},
    ),
    "cpu": Preset(
        params=_STANDSTILL
        | {
            "backbone": "mobilenet_v3_small",
            "max_epochs": 15,
            "batch_size": 8,
            "accumulation_steps": 4,
            "precision": "fp32",
            "max_train_batches": 50,
            "max_lr": 1e-3,
            "weight_decay": 1e-4,
            "severity": "light",
            "patience_epochs": 3,
        },
        of_folder=_FULL_SIZE,
    ),
    "balanced": Preset(
        params=_IMBALANCED
        | _STANDSTILL
        | {
            "backbone": "small",
            "precision": "auto",
            "schedule_kind": "cosine",
            "max_lr": 3e-3,
            "severity": "photograph",
        },
        of_folder=_FULL_SIZE,
    ),
    "cluster": Preset(
        params={
            "backbone": "resnet50",
            "max_epochs": 50,
            "batch_size": 64,
            "precision": "auto",
            "max_grad_norm": 1.0,
            "schedule_kind": "cosine",
            "warmup_fraction": 0.1,
            "max_lr": 1e-3,
            "weight_decay": 1e-4,
            "severity": "aggressive",
            "test_time_augmentation": True,
        },
        of_folder=_FULL_SIZE,
    ),
    "regularised": Preset(
        params={
            "max_lr": 1e-4,
            "weight_decay": 1e-3,
            "batch_size": 8,
            "dropout": 0.5,
            "label_smoothing": 0.1,
            "severity": "aggressive",
            "mixing": True,
            "mixup_alpha": 0.2,
            "cutmix_alpha": 0.0,
            "early_stopping": True,
            "patience_epochs": 3,
        }
    ),
    **{
        strength: Preset(
            params={"backbone": backbone, "batch_size": batch_size, "max_epochs": max_epochs}, of_folder=_FULL_SIZE
        )
        for strength, backbone, batch_size, max_epochs in (
            ("low", "mobilenet_v3_small", 8, 15),
            ("medium", "small", 16, 10),
            ("high", "resnet50", 32, 20),
        )
    },
}
