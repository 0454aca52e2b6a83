"""The space of finding, mapping and counting tree crowns from the air.

The documented rates (1e-5 for a pre-trained backbone, 1e-4 for the heads) suit long trainings of pre-trained weights; a
short one and a small network from scratch need some thirty times more. Fewer trials than elsewhere: a detector trains
slowly.
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
    suggest_optimizer,
)
from search_spaces.space import Params, Situation, Space, Trial

SCRATCH_MAX_LR = (5e-4, 1e-2)
EFFECTIVE_BATCHES = (4, 8, 16)
LOSS_WEIGHTS = ("semantic_weight", "crown_weight", "density_weight")
SCHEDULES = ("cosine", "one_cycle", "warmup_stable_decay", "exponential")
"""Those that progress alone decides; a plateau and restarts (`--set schedule_kind=plateau`) suit longer trainings."""


def suggest(trial: Trial, situation: Situation) -> Params:
    max_lr = max_lr_range(situation) if situation.pretrained else SCRATCH_MAX_LR
    return (
        suggest_optimizer(trial, max_lr=max_lr, backbone=situation.has_trained_backbone)
        | suggest_batch(trial, max_batch_size=situation.max_batch_size, choices=EFFECTIVE_BATCHES)
        | _suggest_schedule(trial)
        | {name: trial.suggest_float(name, 0.1, 3.0, log=True) for name in LOSS_WEIGHTS}
        | _suggest_resolution(trial)
        | suggest_averaging(trial)
        | suggest_backbone(trial, situation, head_start=False)
        | {"anchor_px": trial.suggest_int("anchor_px", 8, 16, step=2)}
    )


def defaults(situation: Situation) -> Params:
    """Trial 0: the documented training, with the rates that the network needs."""
    return {
        **default_rates(situation, from_scratch=3e-3),
        "weight_decay": 0.01,
        "effective_batch": 8,
        "schedule_kind": "cosine",
        "warmup_fraction": 0.1,
        "min_lr_ratio": 0.01,
        "start_lr_ratio": 0.04,
        "decay_fraction": 0.3,
        "semantic_weight": 1.0,
        "crown_weight": 0.5,
        "density_weight": 0.5,
        "progressive_resolution": False,
        "low_resolution_fraction": 0.3,
        "averaging": False,
        "half_life_epochs": 0.5,
        "anchor_px": 12,
        **default_backbone(situation, head_start=False),
    }


def recommended(situation: Situation) -> list[Params]:
    """The documented one cycle, rising as long as the first rung allows, two stages of resolution, and instances before
    all.
    """
    return [
        *recommended_backbone(situation, head_start=False),
        {"schedule_kind": "one_cycle", "warmup_fraction": 0.2},
        {"progressive_resolution": True},
        {"semantic_weight": 0.3, "crown_weight": 0.2, "density_weight": 0.2, "effective_batch": 4},
        *documented_rates(situation, {"max_lr": 1e-4, "backbone_lr_ratio": 0.1}),
    ]


def _suggest_schedule(trial: Trial) -> Params:
    kind = trial.suggest_categorical("schedule_kind", SCHEDULES)
    params = {
        "schedule_kind": kind,
        "warmup_fraction": trial.suggest_float("warmup_fraction", 0.0, MAX_WARMUP_FRACTION),
        "min_lr_ratio": trial.suggest_float("min_lr_ratio", 1e-3, 1e-1, log=True),
    }
    if kind == "one_cycle":
        params["start_lr_ratio"] = trial.suggest_float("start_lr_ratio", 0.01, 0.3, log=True)
    if kind == "warmup_stable_decay":
        params["decay_fraction"] = trial.suggest_float("decay_fraction", 0.1, 0.6)
    return params


def _suggest_resolution(trial: Trial) -> Params:
    if not trial.suggest_categorical("progressive_resolution", [False, True]):
        return {"progressive_resolution": False}
    fraction = trial.suggest_float("low_resolution_fraction", 0.1, 0.5)
    return {"progressive_resolution": True, "low_resolution_fraction": fraction}


SPACE = Space(
    name="agroforestry",
    job="tree crowns, canopy, density and semantics from the air",
    workload="agroforestry",
    objective="val/map_50",
    suggest=suggest,
    defaults=defaults,
    recommended=recommended,
    max_epochs=8,
    grace_epochs=2,
    num_trials=12,
    max_warmup_fraction=MAX_WARMUP_FRACTION,
)
