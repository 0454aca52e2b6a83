"""The presets of `retina` by name.

    python -m trainable.preset retina document config.json --data path/to/fundus

document: a pre-trained backbone at a tenth of the heads' rate that joins from the top down, two losses under learned
weights. out_of_memory: the same update from a quarter of the photographs, activations computed twice. imbalanced: what
rare grades ask for.
"""

from collections.abc import Mapping

from trainable.tasks.presets.preset import Preset

_DOCUMENT = Preset(
    params={
        "backbone": "efficientnet_v2_s",
        "weights": "imagenet",
        "max_epochs": 50,
        "batch_size": 16,
        "max_lr": 1e-4,
        "backbone_lr_ratio": 1e-5 / 1e-4,
        "schedule_kind": "cosine",
        "warmup_fraction": 0.0,
        "min_lr_ratio": 1e-6 / 1e-4,
        "weighting": "uncertainty",
        "unfreezing": True,
        "precision": "auto",
        "max_grad_norm": 1.0,
        "early_stopping": True,
    },
    of_folder={"image_size_px": 512},
)

PRESETS: Mapping[str, Preset] = {
    "document": _DOCUMENT,
    "out_of_memory": _DOCUMENT.but(batch_size=4, accumulation_steps=4, gradient_checkpointing=True),
    "imbalanced": _DOCUMENT.but(class_weights="sqrt_inverse", focal_gamma=2.0),
}
