"""Every technique that works on a device, and every way of computing it is tried in."""

from typing import Any, NamedTuple


class Technique(NamedTuple):
    """A technique that is switched on, on one workload that has it."""

    workload: str
    params: dict[str, Any]


_WARPED = {"initial_strength": 1.0, "max_strength": 1.0}
"""From the first epoch on at full strength."""
_OFF = {"augmentation": False, "load_balance": False, "collapse": False}


def _moe(**params: Any) -> Technique:
    return Technique("moe", params)


def _augmented(kind: str) -> Technique:
    chances = {f"p_{name}": float(name == kind) for name in ("fourier", "contrastive", "mirror")}
    return _moe(augmentation=True, **_WARPED, **chances)


def _collapsed(response: str) -> Technique:
    """Every epoch counts as a collapse, and is responded to at once."""
    always = {"collapse_threshold": 0.99, "window_size": 2, "window_assignments": 20, "patience_checks": 1}
    return _moe(collapse=True, collapse_response=response, collapse_patience_fraction=1.0, **always)


TECHNIQUES: dict[str, Technique] = {
    "none": _moe(**_OFF),
    "averaging": _moe(averaging=True, half_life_epochs=0.5),
    "unfreezing": _moe(unfreezing=True, milestones=[[0.0, 0.0], [0.25, 1.0]]),
    "clipping": _moe(max_grad_norm=0.01),
    "sgd": _moe(algorithm="sgd", momentum=0.9, nesterov=True),
    "plateau schedule": _moe(schedule_kind="plateau"),
    "Fourier mixing": _augmented("fourier"),
    "contrastive views": _augmented("contrastive"),
    "mirror disruption": _augmented("mirror"),
    "contrastive term": _moe(contrastive=True),
    "balance of batches so far": _moe(balance_mode="running"),
    "balance of the previous batches": _moe(balance_mode="previous"),
    "balance counted ahead": _moe(balance_mode="exact"),
    "rebalancing": _collapsed("rebalance"),
    "router noise after a collapse": _collapsed("noise"),
    "experts made anew": _collapsed("reinitialise"),
    "router z-loss": _moe(z_loss_weight=0.01),
    "routing of tokens": _moe(routing="token", capacity_factor=1.25, router_noise=0.1),
    "crops": _moe(crop=True, crop_px=32, crops_per_image=2),
    "uncertainty and boundary": _moe(uncertainty_weight=0.1, boundary_emphasis=1.0),
    "focal loss": _moe(criterion="focal"),
    "mixing of labels": Technique("dishes", {"mixing": True, "mixing_probability": 1.0}),
    "image augmentation": Technique("dishes", {"augmentation": True, "severity": "aggressive", **_WARPED}),
    "dirty variants": Technique("dishes", {"dirty_variants": True}),
    "uncertainty weighting": Technique("retina", {"weighting": "uncertainty"}),
    "dynamic weighting": Technique("retina", {"weighting": "dynamic"}),
    "GradNorm": Technique("retina", {"weighting": "gradnorm"}),
    "class weights and dropout": Technique("retina", {"class_weights": "inverse", "dropout": 0.2}),
    "spectral attention": Technique("leaf", {"spectral_attention": True}),
    "two views of a leaf": Technique("leaf_pretrain", {}),
    "two views of a scene": Technique("moe_pretrain", {}),
    "progressive resolution": Technique("agroforestry", {"progressive_resolution": True, "batch_size": 4}),
}

WAYS: dict[str, dict[str, Any]] = {
    "fp32": {"precision": "fp32"},
    "bf16": {"precision": "bf16"},
    "fp16": {"precision": "fp16"},
    "compiled": {"precision": "fp32", "compile_backend": "aot_eager"},
    "accumulated": {"precision": "bf16", "batch_size": 4, "accumulation_steps": 2},
    "checkpointed": {"precision": "bf16", "gradient_checkpointing": True},
}
"""Batches of images are channels-last in all of them; see `test_memory_format` for the other order."""
