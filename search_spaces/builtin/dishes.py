"""The space of classifying clean and dirty dishes from few, imbalanced pictures.

The network is chosen by the data and the machine, not searched: `--set backbone=mobilenet_v3_small`, `efficientnet_b0`
or `resnet50`, with `--set weights=imagenet` where there is a network to fetch them from.
"""

from search_spaces.shared import (
    MAX_WARMUP_FRACTION,
    default_backbone,
    default_rates,
    documented_rates,
    max_lr_range,
    recommended_backbone,
    suggest_averaging,
    suggest_backbone,
    suggest_batch,
    suggest_mixing,
    suggest_optimizer,
    suggest_schedule,
)
from search_spaces.space import Params, Situation, Space, Trial

CLASS_WEIGHTS = ("none", "inverse", "sqrt_inverse", "effective_number")
SEVERITIES = ("light", "moderate", "photograph", "aggressive")


def suggest(trial: Trial, situation: Situation) -> Params:
    return (
        suggest_optimizer(trial, max_lr=max_lr_range(situation), backbone=situation.has_trained_backbone)
        | suggest_batch(trial, max_batch_size=situation.max_batch_size)
        | suggest_schedule(trial)
        | suggest_criterion(trial)
        | {"dropout": trial.suggest_float("dropout", 0.0, 0.5)}
        | suggest_augmentation(trial)
        | suggest_averaging(trial)
        | suggest_backbone(trial, situation)
    )


def suggest_criterion(trial: Trial) -> Params:
    """Smoothing belongs to cross-entropy: a focal term on softened targets would never call a picture easy."""
    weights = {"class_weights": trial.suggest_categorical("class_weights", CLASS_WEIGHTS)}
    if trial.suggest_categorical("criterion", ["cross_entropy", "focal"]) == "focal":
        return weights | {"focal_gamma": trial.suggest_float("focal_gamma", 0.5, 4.0), "label_smoothing": 0.0}
    return weights | {"focal_gamma": None, "label_smoothing": trial.suggest_float("label_smoothing", 0.0, 0.2)}


def suggest_augmentation(trial: Trial) -> Params:
    """One strength throughout: the budget is short. Images are mixed only where they are augmented too."""
    if not trial.suggest_categorical("augmentation", [True, False]):
        return {"augmentation": False, "mixing": False}
    strength = trial.suggest_float("max_strength", 0.2, 1.0)
    return {
        "augmentation": True,
        "severity": trial.suggest_categorical("severity", SEVERITIES),
        "initial_strength": strength,
        "max_strength": strength,
        **suggest_mixing(trial, search_cutmix=False),
    }


def defaults(situation: Situation) -> Params:
    """Trial 0: the documented strategy for balance, with the rate that suits the weights."""
    return {
        **default_rates(situation, from_scratch=1e-3),
        "weight_decay": 1e-4,
        "effective_batch": 16,
        "warmup_fraction": 0.1,
        "min_lr_ratio": 0.01,
        "class_weights": "inverse",
        "criterion": "cross_entropy",
        "label_smoothing": 0.0,
        "focal_gamma": 2.0,
        "dropout": 0.0,
        "augmentation": True,
        "severity": "photograph",
        "max_strength": 1.0,
        "mixing": False,
        "mixup_alpha": 0.2,
        "mixing_probability": 0.5,
        "averaging": False,
        "half_life_epochs": 0.5,
        **default_backbone(situation),
    }


def recommended(situation: Situation) -> list[Params]:
    """Further advice of the documents: the focal loss, and the remedies against overfitting."""
    return [
        *recommended_backbone(situation),
        {"criterion": "focal", "severity": "light"},
        {"weight_decay": 1e-3, "effective_batch": 8, "dropout": 0.5, "label_smoothing": 0.1, "mixing": True},
        *documented_rates(situation, {"max_lr": 1e-4, "backbone_lr_ratio": 1.0}),
    ]


SPACE = Space(
    name="dishes",
    job="clean or dirty plates",
    workload="dishes",
    objective="val/macro_f1",
    suggest=suggest,
    defaults=defaults,
    recommended=recommended,
    beside_own_network={"dropout": 0.0},
    max_warmup_fraction=MAX_WARMUP_FRACTION,
)
