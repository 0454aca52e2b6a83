"""The presets of `agroforestry` by name; all but the two stages are whole trainings.

    python -m trainable.preset agroforestry document config.json --data path/to/tiles

document: 100 epochs of tiles of 512 px. laptop: small tiles, little memory. light: short, for a slow machine.
transfer: pre-trained weights that learn ten times more slowly than the heads. progressive: three tenths of the budget
at half the resolution. stage_1, stage_2: the same as two trainings; joined, such as document+stage_1. one_cycle,
plateau, warm_restarts, exponential: the documented settings of the other schedules. out_of_memory: the same update from
single tiles, activations computed twice. slow_training: half precision where the GPU has it, larger batches, memory in
the order that convolutions like.
"""

from collections.abc import Mapping

from trainable.tasks.presets.preset import Preset

_DOCUMENT = Preset(
    params={
        "max_epochs": 100,
        "batch_size": 4,
        "accumulation_steps": 2,
        "algorithm": "adamw",
        "max_lr": 1e-4,
        "weight_decay": 0.01,
        "schedule_kind": "cosine",
        "warmup_fraction": 0.0,
        # From 1e-4 to 1e-7, at the end of the budget: a cosine that ends after half of it would rise again.
        "min_lr_ratio": 1e-3,
        "max_grad_norm": 1.0,
        "precision": "fp32",
        "instance_weight": 1.0,
        "semantic_weight": 1.0,
        "crown_weight": 0.5,
        "density_weight": 0.5,
        "early_stopping": True,
        "patience_epochs": 20,
    },
    of_folder={"tile_px": 512, "overlap_px": 64},
)
_LAPTOP = _DOCUMENT.but(batch_size=2, accumulation_steps=4, of_folder={"tile_px": 256})

PRESETS: Mapping[str, Preset] = {
    "document": _DOCUMENT,
    "laptop": _LAPTOP,
    "light": _LAPTOP.but(
        algorithm="adam",
        max_lr=5e-4,
        max_epochs=50,
        schedule_kind="plateau",
        plateau_factor=0.5,
        plateau_patience_fraction=5 / 50,
        patience_epochs=10,
    ),
    "transfer": _DOCUMENT.but(backbone="resnet50", weights="imagenet", backbone_lr_ratio=0.1),
    "progressive": _DOCUMENT.but(
        progressive_resolution=True, low_resolution_fraction=30 / 100, low_resolution_scale=256 / 512
    ),
    "stage_1": Preset(
        params={
            "max_epochs": 30,
            "progressive_resolution": True,
            "low_resolution_fraction": 1.0,
            "low_resolution_scale": 256 / 512,
        }
    ),
    "stage_2": Preset(params={"max_epochs": 70, "max_lr": 1e-5, "min_lr_ratio": 1e-7 / 1e-5}),
    "one_cycle": _DOCUMENT.but(
        schedule_kind="one_cycle", max_lr=1e-3, warmup_fraction=0.3, start_lr_ratio=1 / 25, min_lr_ratio=1 / 25e4
    ),
    "plateau": _DOCUMENT.but(schedule_kind="plateau", plateau_factor=0.5, plateau_patience_fraction=10 / 100),
    "warm_restarts": _DOCUMENT.but(schedule_kind="warm_restarts", first_cycle_fraction=10 / 100, cycle_growth=2.0),
    "exponential": _DOCUMENT.but(schedule_kind="exponential", min_lr_ratio=0.95**100),
    "out_of_memory": _DOCUMENT.but(
        batch_size=1, accumulation_steps=8, gradient_checkpointing=True, of_folder={"tile_px": 256}
    ),
    "slow_training": _DOCUMENT.but(
        batch_size=8, accumulation_steps=1, precision="auto", channels_last=True, of_folder={"tile_px": 256}
    ),
}
