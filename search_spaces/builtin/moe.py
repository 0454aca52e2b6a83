"""The space of segmenting camouflaged objects by a mixture of experts.

The learning rates that the documents recommend suit long trainings of a pre-trained backbone; new layers and a small
network trained from scratch need some thirty times more, so their default and their range are their own.
"""

from search_spaces.shared import (
    MAX_WARMUP_FRACTION,
    default_backbone,
    default_rates,
    documented_rates,
    max_batch_size_by_memory,
    max_lr_range,
    recommended_backbone,
    recommended_schedule,
    suggest_augmentation,
    suggest_averaging,
    suggest_backbone,
    suggest_batch,
    suggest_optimizer,
    suggest_schedule,
)
from search_spaces.space import Params, Situation, Space, Trial

NUM_EXPERTS = (1, 4, 6, 8)
"""Two are left out: with top-2 routing every image would go to both."""


def suggest(trial: Trial, situation: Situation) -> Params:
    return (
        suggest_optimizer(trial, max_lr=max_lr_range(situation), backbone=situation.has_trained_backbone)
        | suggest_batch(trial, max_batch_size=max_batch_size_by_memory(situation))
        | suggest_schedule(trial)
        | suggest_experts(trial)
        | suggest_augmentation(trial)
        | suggest_averaging(trial)
        | suggest_backbone(trial, situation, head_start=False)
    )


def suggest_experts(trial: Trial) -> Params:
    """One expert is a plain block: nothing to route, to balance or to watch.

    Without a response the threshold decides nothing: a collapse is not answered, nor does it end the training.
    """
    num_experts = trial.suggest_categorical("num_experts", NUM_EXPERTS)
    if num_experts == 1:
        return {"num_experts": 1, "top_k": 1, "load_balance": False, "collapse": False}
    params = {
        "num_experts": num_experts,
        "top_k": trial.suggest_int("top_k", 1, 2),
        "router_noise": trial.suggest_float("router_noise", 0.0, 0.3),
        "load_balance": True,
        # Weights of the two balance losses: L2 deviation of the router's probabilities, variation of the assignments.
        "alpha_l2": trial.suggest_float("alpha_l2", 1e-4, 1e-1, log=True),
        "alpha_cv": trial.suggest_float("alpha_cv", 1e-4, 1e-1, log=True),
    }
    response = trial.suggest_categorical("collapse_response", ["none", "rebalance", "noise", "reinitialise"])
    if response == "none":
        return params | {"collapse": False}
    threshold = trial.suggest_float("collapse_threshold", 0.1, 0.6)
    return params | {"collapse": True, "collapse_response": response, "collapse_threshold": threshold}


def defaults(situation: Situation) -> Params:
    """Trial 0: what a person who knows the field would write."""
    return {
        **default_rates(situation, from_scratch=3e-3),
        "warmup_fraction": 0.1,
        "min_lr_ratio": 0.01,
        "weight_decay": 1e-4 if situation.pretrained else 1e-2,
        "effective_batch": 16,
        "num_experts": 4,
        "top_k": 2,
        "router_noise": 0.0,
        "alpha_l2": 0.01,
        "alpha_cv": 0.01,
        "collapse_threshold": 0.3,
        "collapse_response": "rebalance",
        **_augmentation(rise=0.0, start=0.2, ramp=0.1),
        "averaging": False,
        "half_life_epochs": 0.5,
        **default_backbone(situation, head_start=False),
    }


def recommended(situation: Situation) -> list[Params]:
    """The documents' rows by number of experts, each with the augmentation of one of their training lengths.

    Beside pre-trained weights one rate for all comes first, and the documents' schedule for a set of this size last.
    """
    rows = (
        {"num_experts": 4, "alpha_l2": 0.01, "alpha_cv": 0.01, "collapse_threshold": 0.4},
        {"num_experts": 6, "alpha_l2": 0.01, "alpha_cv": 0.01, "collapse_threshold": 0.3},
        {"num_experts": 8, "alpha_l2": 0.02, "alpha_cv": 0.02, "collapse_threshold": 0.24},
    )
    ramps = (
        _augmentation(rise=0.4, start=0.3, ramp=0.2),
        _augmentation(rise=0.5, start=0.2, ramp=0.1),
        _augmentation(rise=0.6, start=0.2, ramp=0.05),
    )
    schedule = recommended_schedule(situation.num_train_images) | {"backbone_lr_ratio": 1.0}
    by_experts = [row | ramp for row, ramp in zip(rows, ramps, strict=True)]
    return [*recommended_backbone(situation, head_start=False), *by_experts, *documented_rates(situation, schedule)]


def _augmentation(*, rise: float, start: float, ramp: float) -> Params:
    return {
        "augmentation": True,
        "initial_strength": 0.3,
        "strength_rise": rise,
        "start_fraction": start,
        "ramp_fraction": ramp,
    }


SPACE = Space(
    name="moe",
    job="camouflaged objects, by a mixture of experts",
    workload="moe",
    objective="val/s_measure",
    suggest=suggest,
    defaults=defaults,
    recommended=recommended,
    beside_own_network={"num_experts": 1},
    max_warmup_fraction=MAX_WARMUP_FRACTION,
)
