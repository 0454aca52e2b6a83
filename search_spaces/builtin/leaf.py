"""The space of classifying leaf diseases, from scratch or from a pre-trained encoder."""

from search_spaces.shared import (
    MAX_WARMUP_FRACTION,
    default_backbone,
    default_rates,
    recommended_backbone,
    suggest_averaging,
    suggest_backbone,
    suggest_batch,
    suggest_mixing,
    suggest_optimizer,
    suggest_schedule,
)
from search_spaces.space import Params, Situation, Space, Trial

MAX_LR = (3e-5, 1e-2)
EFFECTIVE_BATCHES = (8, 16, 32, 64, 128)
SEVERITIES = ("light", "moderate", "aggressive")
CLASS_WEIGHTS = ("none", "inverse", "sqrt_inverse", "effective_number")


def suggest(trial: Trial, situation: Situation) -> Params:
    return (
        suggest_optimizer(trial, max_lr=MAX_LR, backbone=situation.has_trained_backbone)
        | suggest_batch(trial, max_batch_size=situation.max_batch_size, choices=EFFECTIVE_BATCHES)
        | suggest_schedule(trial)
        | {
            "severity": trial.suggest_categorical("severity", SEVERITIES),
            "drop_path": trial.suggest_float("drop_path", 0.0, 0.3),
            "spectral_attention": trial.suggest_categorical("spectral_attention", [False, True]),
        }
        | suggest_loss(trial)
        | suggest_mixing(trial, search_cutmix=True)
        | suggest_averaging(trial)
        | suggest_backbone(trial, situation)
    )


def suggest_loss(trial: Trial) -> Params:
    """Weights for rare classes, and a focal term beside a smoothed cross-entropy; neither is ever left out."""
    params: Params = {
        "class_weights": trial.suggest_categorical("class_weights", CLASS_WEIGHTS),
        "focal_gamma": trial.suggest_float("focal_gamma", 0.0, 3.0),
        "focal_share": trial.suggest_float("focal_share", 0.1, 0.9),
        "label_smoothing": trial.suggest_float("label_smoothing", 0.0, 0.2),
    }
    if params["class_weights"] == "effective_number":
        params["effective_beta"] = trial.suggest_float("effective_beta", 0.9, 0.999)
    return params


def defaults(situation: Situation) -> Params:
    """The documents' loss, mixing and augmentation, at the rate, batch and drop path that a small network needs."""
    return {
        **default_rates(situation, from_scratch=1e-3),
        "weight_decay": 0.01,
        "effective_batch": 16,
        "warmup_fraction": 0.05,
        "min_lr_ratio": 0.01,
        "severity": "moderate",
        "drop_path": 0.1,
        "spectral_attention": False,
        "class_weights": "none",
        "effective_beta": 0.99,
        "focal_gamma": 2.0,
        "focal_share": 0.5,
        "label_smoothing": 0.1,
        "mixing": True,
        "mixup_alpha": 0.8,
        "cutmix_alpha": 1.0,
        "mixing_probability": 0.5,
        "averaging": False,
        "half_life_epochs": 0.5,
        **default_backbone(situation),
    }


def recommended(situation: Situation) -> list[Params]:
    """The documents' row for a set of this size, as it is and at the rate of a small network."""
    row = recommended_row(situation.num_train_images)
    first = recommended_backbone(situation)
    one_rate = {"backbone_lr_ratio": 1.0} if situation.has_trained_backbone else {}
    return [*first, row | {"max_lr": 3e-3, "mixing": False}, row | one_rate]


def recommended_row(num_train_images: int) -> Params:
    """Fewer images want smaller batches, lower rates, longer warm-ups and more that keeps the network in check."""
    if num_train_images < 5_000:
        effective_batch, max_lr, warmup_fraction, weight_decay, drop_path = 16, 5e-5, 0.10, 0.05, 0.3
    elif num_train_images <= 50_000:
        effective_batch, max_lr, warmup_fraction, weight_decay, drop_path = 32, 1e-4, 0.05, 0.01, 0.2
    else:
        effective_batch, max_lr, warmup_fraction, weight_decay, drop_path = 128, 3e-4, 0.03, 0.001, 0.1
    return {
        "effective_batch": effective_batch,
        "max_lr": max_lr,
        "warmup_fraction": warmup_fraction,
        "weight_decay": weight_decay,
        "drop_path": drop_path,
    }


SPACE = Space(
    name="leaf",
    job="leaf diseases",
    workload="leaf",
    objective="val/macro_f1",
    suggest=suggest,
    defaults=defaults,
    recommended=recommended,
    beside_own_network={"drop_path": 0.0, "spectral_attention": False},
    max_epochs=24,
    grace_epochs=6,
    max_warmup_fraction=MAX_WARMUP_FRACTION,
    num_trials=16,
)
