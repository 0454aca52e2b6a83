"""The presets of `leaf_pretrain` and `leaf` by name.

    python -m trainable.preset leaf document config.json --data path/to/leaves

document: what the documents train, on a folder with their encoder and 256 px. Of `leaf` also what they advise in
trouble. out_of_memory: the same update from a quarter of the images, activations computed twice. not_converging: slow,
gentle, every class alike. not_finite: very slow, clipped, full precision; look at the data first, with
`python -m trainable.diagnose`. poor_generalisation: what keeps a network in check that knows its training images.
small_data, medium_data, large_data: below 5 000 images, up to 50 000, above; to be joined: document+small_data.
"""

from collections.abc import Mapping

from trainable.tasks.presets.preset import Params, Preset

_FULL_SIZE = {"encoder": "documented", "image_size_px": 256, "gradient_checkpointing": True}

PRETRAIN_PRESETS: Mapping[str, Preset] = {
    "document": Preset(
        params={
            "max_epochs": 100,
            "batch_size": 64,
            "max_lr": 3e-4,
            "weight_decay": 1e-4,
            "warmup_fraction": 10 / 100,
            "temperature": 0.07,
            "projection_channels": 128,
            "smallest_crop_area": 0.2,
            "colour_strength": 0.8,
        },
        of_folder=_FULL_SIZE,
    )
}

_UNMIXED = Preset(
    params={
        "spectral_attention": True,
        "drop_path": 0.2,
        "max_epochs": 100,
        "batch_size": 32,
        "accumulation_steps": 2,
        "max_lr": 1e-4,
        "weight_decay": 0.01,
        "warmup_fraction": 5 / 100,
        "focal_gamma": 2.0,
        "focal_share": 0.5,
        "label_smoothing": 0.1,
        "severity": "moderate",
        "mixing": False,
        # With a memory in epochs: the documented decay of 0.9999 would remember the first weights of a small set.
        "averaging": True,
        "test_time_augmentation": True,
        "early_stopping": True,
        "patience_epochs": 15,
        "min_delta": 0.001,
    },
    of_folder=_FULL_SIZE,
)
_DOCUMENT = _UNMIXED.but(mixing=True, mixup_alpha=0.8, cutmix_alpha=1.0)


def _by_data(
    batch_size: int,
    accumulation_steps: int,
    *,
    max_lr: float,
    warmup_epochs: int,
    weight_decay: float,
    drop_path: float,
) -> Params:
    """A row of the documents' table; warm-ups are those of 100 epochs."""
    return {
        "batch_size": batch_size,
        "accumulation_steps": accumulation_steps,
        "max_lr": max_lr,
        "warmup_fraction": warmup_epochs / 100,
        "weight_decay": weight_decay,
        "drop_path": drop_path,
    }


_BY_DATA: dict[str, Params] = {
    "small_data": _by_data(16, 1, max_lr=5e-5, warmup_epochs=10, weight_decay=0.05, drop_path=0.3),
    "medium_data": _by_data(32, 1, max_lr=1e-4, warmup_epochs=5, weight_decay=0.01, drop_path=0.2),
    "large_data": _by_data(64, 2, max_lr=3e-4, warmup_epochs=3, weight_decay=0.001, drop_path=0.1),
}

PRESETS: Mapping[str, Preset] = {
    "document": _DOCUMENT,
    **{name: Preset(params=params) for name, params in _BY_DATA.items()},
    "out_of_memory": _DOCUMENT.but(batch_size=8, accumulation_steps=8, gradient_checkpointing=True),
    "not_converging": _UNMIXED.but(max_lr=1e-5, warmup_fraction=15 / 100, severity="light", class_weights="inverse"),
    "not_finite": _DOCUMENT.but(max_lr=1e-6, max_grad_norm=1.0, precision="fp32"),
    "poor_generalisation": _DOCUMENT.but(weight_decay=0.05, drop_path=0.3, severity="aggressive"),
}
