"""The spaces of pre-training an encoder without labels, by contrast: of leaves, or of camouflaged scenes.

The batch is never accumulated: an image is told apart from the others of its micro-batch alone. The contrastive loss
means something else at every temperature, batch and view, so that something else is compared: a probe of the features,
or how near the second view of a picture is, on views that are the same for every trial.
"""

from dataclasses import replace

from search_spaces.shared import MAX_WARMUP_FRACTION, suggest_averaging, suggest_optimizer, suggest_schedule
from search_spaces.space import Params, Situation, Space, Trial

MAX_LR = (1e-4, 1e-2)
BATCH_SIZES = (16, 32, 64)


def suggest(trial: Trial, situation: Situation) -> Params:
    return (
        suggest_optimizer(trial, max_lr=MAX_LR)
        | suggest_schedule(trial)
        | {
            "batch_size": trial.suggest_categorical("batch_size", BATCH_SIZES),
            "temperature": trial.suggest_float("temperature", 0.05, 0.5, log=True),
            "projection_channels": trial.suggest_categorical("projection_channels", (32, 128)),
            "smallest_crop_area": trial.suggest_float("smallest_crop_area", 0.1, 0.8),
            "colour_strength": trial.suggest_float("colour_strength", 0.1, 0.9),
            "p_greyscale": trial.suggest_float("p_greyscale", 0.0, 0.4),
            "p_defocus": trial.suggest_float("p_defocus", 0.0, 0.8),
        }
        | suggest_averaging(trial)
    )


def defaults_of_leaves(situation: Situation) -> Params:
    """The method's recipe with views that leave something to recognise in small pictures, at a small network's rate."""
    return {
        "max_lr": 3e-4 if situation.pretrained else 2e-3,
        "weight_decay": 1e-4,
        "warmup_fraction": 0.1,
        "min_lr_ratio": 0.01,
        "batch_size": 32,
        "temperature": 0.2,
        "projection_channels": 128,
        "smallest_crop_area": 0.4,
        "colour_strength": 0.5,
        "p_greyscale": 0.2,
        "p_defocus": 0.5,
        "averaging": False,
        "half_life_epochs": 0.5,
    }


def defaults_of_scenes(situation: Situation) -> Params:
    """As for leaves; a lower temperature, since scenes are told apart one by one and not class by class."""
    return defaults_of_leaves(situation) | {"temperature": 0.1}


def recommended(situation: Situation) -> list[Params]:
    """The published views with the documents' temperature, rate and batch, then gentler views at a higher rate."""
    published = {"smallest_crop_area": 0.2, "colour_strength": 0.8}
    return [
        published | {"max_lr": 3e-4, "temperature": 0.07, "batch_size": 64},
        {"max_lr": 3e-3, "smallest_crop_area": 0.6},
    ]


LEAVES = Space(
    name="leaf_pretrain",
    job="an encoder of leaves, without labels",
    workload="leaf_pretrain",
    objective="val/knn_accuracy",
    suggest=suggest,
    defaults=defaults_of_leaves,
    recommended=recommended,
    max_warmup_fraction=MAX_WARMUP_FRACTION,
    num_trials=12,
    confirm=1,
)
SCENES = replace(
    LEAVES,
    name="moe_pretrain",
    job="the backbone of moe, without masks",
    workload="moe_pretrain",
    objective="val/mean_reciprocal_rank",
    defaults=defaults_of_scenes,
)
