"""The presets of `moe` by name; several are joined by `+`, the later ones on top of the earlier.

    python -m trainable.preset moe document+small_data+memory_8gb config.json --data path/to/images-and-masks

document: 100 epochs at the documents' rates, which suit a backbone with trained weights: give --init or weights, or
leave the rates at the default's.
small_data, medium_data, large_data: below 1 000 images, up to 10 000, above. memory_8gb to memory_40gb: the same update
of 16 images on a GPU of that size. epochs_50, epochs_100, epochs_200: the augmentation of that length. experts_4,
experts_6, experts_8: balancing and threshold for that many experts.
stage_1, stage_2: first without augmentation, then with it from the weights of the first.
collapsing, not_finite, out_of_memory, unstable_augmentation: what the documents advise in trouble.
"""

from collections.abc import Mapping

from trainable.tasks.presets.preset import Params, Preset


def _rates(max_lr: float, *, warmup_epochs: int) -> Params:
    """Peak rate and warm-up of a 100-epoch training that ends at 1e-6."""
    return {"max_lr": max_lr, "warmup_fraction": warmup_epochs / 100, "min_lr_ratio": 1e-6 / max_lr}


def _augmented(max_epochs: int, *, start_epoch: int, ramp_epochs: int, initial: float, final: float) -> Params:
    return {
        "max_epochs": max_epochs,
        "augmentation": True,
        "initial_strength": initial,
        "max_strength": final,
        "start_fraction": start_epoch / max_epochs,
        "ramp_fraction": ramp_epochs / max_epochs,
    }


def _experts(num_experts: int, *, alpha: float, min_usage: float) -> Params:
    """The documents' threshold is a share of all assignments; ours is a share of an expert's fair part of them."""
    return {
        "num_experts": num_experts,
        "alpha_l2": alpha,
        "alpha_cv": alpha,
        "collapse_threshold": min_usage * num_experts,
    }


_BY_DATA: dict[str, Params] = {
    "small_data": _rates(5e-5, warmup_epochs=3),
    "medium_data": _rates(1e-4, warmup_epochs=5),
    "large_data": _rates(2e-4, warmup_epochs=10),
}
_BY_MEMORY: dict[str, Params] = {
    "memory_8gb": {"batch_size": 2, "accumulation_steps": 8},
    "memory_16gb": {"batch_size": 4, "accumulation_steps": 4},
    "memory_24gb": {"batch_size": 8, "accumulation_steps": 2},
    "memory_40gb": {"batch_size": 16, "accumulation_steps": 1},
}
_BY_LENGTH: dict[str, Params] = {
    "epochs_50": _augmented(50, start_epoch=15, ramp_epochs=10, initial=0.3, final=0.7),
    "epochs_100": _augmented(100, start_epoch=20, ramp_epochs=10, initial=0.3, final=0.8),
    "epochs_200": _augmented(200, start_epoch=40, ramp_epochs=10, initial=0.3, final=0.9),
}
_BY_EXPERTS: dict[str, Params] = {
    "experts_4": _experts(4, alpha=0.01, min_usage=0.10),
    "experts_6": _experts(6, alpha=0.01, min_usage=0.05),
    "experts_8": _experts(8, alpha=0.02, min_usage=0.03),
}
_STAGES: dict[str, Params] = {
    "stage_1": {"max_epochs": 30, "augmentation": False},
    "stage_2": {
        **_augmented(70, start_epoch=10, ramp_epochs=10, initial=0.3, final=0.8),
        "max_lr": 5e-5,
        "min_lr_ratio": 1e-6 / 5e-5,
    },
}
_IN_TROUBLE: dict[str, Params] = {
    "collapsing": {"alpha_l2": 0.05, "alpha_cv": 0.05, "capacity_factor": 1.0, "router_noise": 0.1},
    "not_finite": {"precision": "fp32", "max_grad_norm": 0.5, "warmup_fraction": 10 / 100},
    "out_of_memory": {**_BY_MEMORY["memory_8gb"], "gradient_checkpointing": True},
    "unstable_augmentation": {
        "augmentation": True,
        "initial_strength": 0.2,
        "max_strength": 0.6,
        "start_fraction": 30 / 100,
        "ramp_fraction": 20 / 100,
    },
}
_DOCUMENT: Params = {
    **_BY_DATA["medium_data"],
    **_BY_MEMORY["memory_24gb"],
    **_BY_LENGTH["epochs_100"],
    **_BY_EXPERTS["experts_4"],
    "algorithm": "adamw",
    "weight_decay": 1e-4,
    "max_grad_norm": 1.0,
    "precision": "auto",
}

PRESETS: Mapping[str, Preset] = {
    name: Preset(params=params)
    for rows in ({"document": _DOCUMENT}, _BY_DATA, _BY_MEMORY, _BY_LENGTH, _BY_EXPERTS, _STAGES, _IN_TROUBLE)
    for name, params in rows.items()
}
