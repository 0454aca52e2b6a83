"""Groups of parameters that several spaces share, under the names of the training configuration."""

import math

from search_spaces.space import Params, Situation, Trial

MAX_WARMUP_FRACTION = 0.2
"""Longest warm-up as a share of the budget; it must end by the first rung."""

EFFECTIVE_BATCHES = (4, 8, 16, 32)
HEAD_STARTS = ("random", "probe")


def max_lr_range(situation: Situation) -> tuple[float, float]:
    """From scratch, of all layers; pre-trained, of the new layers, down to below the source documents' 5e-5."""
    return (3e-5, 1e-2) if situation.pretrained else (3e-4, 3e-2)


def default_rates(situation: Situation, *, from_scratch: float) -> Params:
    """Trial 0's: new layers on pre-trained weights take nearly the rate of a network from scratch, the weights a tenth.

    The documents' 1e-4 and 1e-5 are for a hundred epochs of thousands of images. In the few hundred updates of a small
    set they leave the new layers where they were: figures in results/LOG.md, 2026-11-28. A small network that was
    pre-trained on as few images has less to lose, and takes one rate.
    """
    if not situation.pretrained:
        return {"max_lr": from_scratch}
    if not situation.has_trained_backbone:
        return {"max_lr": 1e-3}
    if situation.own_weights:
        return {"max_lr": 1e-3, "backbone_lr_ratio": 1.0}
    return {"max_lr": 2e-3, "backbone_lr_ratio": 0.1}


def recommended_backbone(situation: Situation, *, head_start: bool = True) -> list[Params]:
    """One moderate rate for new layers and weights alike; on some sets it beats trial 0 (the same figures). With
    `head_start` the default from a linear probe: on a few hundred images a random head does not come as far.
    """
    if not situation.has_trained_backbone:
        return []
    probe = [{"head_start": "probe"}] if head_start else []
    return [{"max_lr": 5e-4, "backbone_lr_ratio": 1.0}, *probe]


def documented_rates(situation: Situation, row: Params) -> list[Params]:
    """The documents' rates for pre-trained weights as a configuration to try."""
    return [row] if situation.has_trained_backbone else []


def suggest_optimizer(trial: Trial, *, max_lr: tuple[float, float], backbone: bool = False) -> Params:
    """With `backbone` a rate of its own for pre-trained weights, which are treated with care."""
    params = {
        "max_lr": trial.suggest_float("max_lr", *max_lr, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-5, 1e-1, log=True),
    }
    if backbone:
        params["backbone_lr_ratio"] = trial.suggest_float("backbone_lr_ratio", 0.03, 1.0, log=True)
    return params


def suggest_batch(trial: Trial, *, max_batch_size: int, choices: tuple[int, ...] = EFFECTIVE_BATCHES) -> Params:
    """The images per update; what does not fit in memory at once is accumulated."""
    effective_batch = trial.suggest_categorical("effective_batch", choices)
    batch_size = math.gcd(effective_batch, max_batch_size)
    return {"batch_size": batch_size, "accumulation_steps": effective_batch // batch_size}


def suggest_schedule(trial: Trial) -> Params:
    return {
        "warmup_fraction": trial.suggest_float("warmup_fraction", 0.0, MAX_WARMUP_FRACTION),
        "min_lr_ratio": trial.suggest_float("min_lr_ratio", 1e-3, 1e-1, log=True),
    }


def recommended_schedule(num_train_images: int) -> Params:
    """The documents' values for a set of this size and a pre-trained backbone: warm-ups of 3, 5 and 10 % of epochs."""
    if num_train_images < 1_000:
        max_lr, warmup_fraction = 5e-5, 0.03
    elif num_train_images <= 10_000:
        max_lr, warmup_fraction = 1e-4, 0.05
    else:
        max_lr, warmup_fraction = 2e-4, 0.10
    return {"max_lr": max_lr, "warmup_fraction": warmup_fraction, "min_lr_ratio": 1e-6 / max_lr}


def max_batch_size_by_memory(situation: Situation) -> int:
    """The documents' value for a GPU of this size; one sold as 16 GB may report 10 % less.

    Their table is about large pre-trained backbones; a small network from scratch needs far less.
    """
    memory_gb = situation.gpu_memory_gb
    if memory_gb is None:
        return situation.max_batch_size
    fitting = [batch_size for size_gb, batch_size in _BATCH_SIZES.items() if memory_gb >= 0.9 * size_gb]
    by_memory = max(fitting, default=1)
    return by_memory if situation.pretrained else max(by_memory, situation.max_batch_size)


_BATCH_SIZES = {8: 2, 16: 4, 24: 8, 40: 16}


def suggest_augmentation(trial: Trial) -> Params:
    """The ramp as fractions of the budget; suggests the rise, so that the end is never below the start."""
    if not trial.suggest_categorical("augmentation", [True, False]):
        return {"augmentation": False}
    initial = trial.suggest_float("initial_strength", 0.0, 0.4)
    return {
        "augmentation": True,
        "initial_strength": initial,
        "max_strength": initial + trial.suggest_float("strength_rise", 0.0, 0.6),
        "start_fraction": trial.suggest_float("start_fraction", 0.0, 0.5),
        "ramp_fraction": trial.suggest_float("ramp_fraction", 0.05, 0.5),
    }


def suggest_mixing(trial: Trial, *, search_cutmix: bool) -> Params:
    """How often and how strongly images and labels are mixed; without `search_cutmix` CutMix has its default alpha."""
    if not trial.suggest_categorical("mixing", [False, True]):
        return {"mixing": False}
    cutmix = {"cutmix_alpha": trial.suggest_float("cutmix_alpha", 0.1, 1.0)} if search_cutmix else {}
    return {
        "mixing": True,
        "mixup_alpha": trial.suggest_float("mixup_alpha", 0.1, 1.0),
        **cutmix,
        "mixing_probability": trial.suggest_float("mixing_probability", 0.1, 1.0),
    }


def suggest_backbone(trial: Trial, situation: Situation, *, head_start: bool = True) -> Params:
    """When the blocks of a trained backbone join, from the top down; with `head_start` also whether the last layer
    starts at a linear probe. A network from scratch has nothing to keep or to probe.
    """
    params: Params = {}
    if not situation.has_trained_backbone:
        return params
    params["unfreezing"] = trial.suggest_categorical("unfreezing", [True, False])
    if params["unfreezing"]:
        alone = trial.suggest_float("heads_alone_fraction", 0.02, 0.2)
        thawing = trial.suggest_float("thawing_fraction", 0.05, 0.4)
        params["milestones"] = ((0.0, 0.0), (alone, 0.25), (alone + thawing / 2, 0.5), (alone + thawing, 1.0))
    if head_start:
        params["head_start"] = trial.suggest_categorical("head_start", HEAD_STARTS)
    return params


def default_backbone(situation: Situation, *, head_start: bool = True) -> Params:
    """All layers train from the first epoch on, from a random head. Where unfreezing is on, the documents' steps: heads
    alone for 6 of 50 epochs, the whole backbone from epoch 16.
    """
    if not situation.has_trained_backbone:
        return {}
    random_head = {"head_start": "random"} if head_start else {}
    return {"unfreezing": False, "heads_alone_fraction": 0.12, "thawing_fraction": 0.2} | random_head


def suggest_averaging(trial: Trial) -> Params:
    if not trial.suggest_categorical("averaging", [False, True]):
        return {"averaging": False}
    return {"averaging": True, "half_life_epochs": trial.suggest_float("half_life_epochs", 0.05, 2.0, log=True)}
