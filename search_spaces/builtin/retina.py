"""The space of grading diabetic retinopathy and macular edema by one network.

With pre-trained weights the document's training is among the first: heads at 1e-4 and backbone at 1e-5, batches of 16,
a plain cosine, learned uncertainty weights, heads alone for 6 of 50 epochs and the whole backbone from epoch 16. Trial
0 trains all of it from the start, at rates that a short training needs. Where the photographs have one of the two
grades, there is nothing to weigh.
"""

from search_spaces.shared import (
    MAX_WARMUP_FRACTION,
    default_backbone,
    default_rates,
    documented_rates,
    max_lr_range,
    recommended_backbone,
    suggest_augmentation,
    suggest_averaging,
    suggest_backbone,
    suggest_batch,
    suggest_optimizer,
    suggest_schedule,
)
from search_spaces.space import Params, Situation, Space, Trial


def suggest(trial: Trial, situation: Situation) -> Params:
    return (
        suggest_optimizer(trial, max_lr=max_lr_range(situation), backbone=situation.has_trained_backbone)
        | suggest_batch(trial, max_batch_size=situation.max_batch_size)
        | suggest_schedule(trial)
        | (suggest_weighting(trial, situation) if situation.num_tasks > 1 else {"weighting": "equal"})
        | suggest_loss(trial)
        | {"dropout": trial.suggest_float("dropout", 0.0, 0.5)}
        | suggest_recipe(trial)
        | suggest_averaging(trial)
        | suggest_backbone(trial, situation)
    )


def suggest_weighting(trial: Trial, situation: Situation) -> Params:
    """How the two losses become one; fixed weights add up to 2, as equal ones do.

    GradNorm needs the last layer that both tasks share, which a network of the user's own need not name.
    """
    gradnorm = [] if situation.own_network else ["gradnorm"]
    weighting = trial.suggest_categorical("weighting", ["uncertainty", "equal", "fixed", "dynamic", *gradnorm])
    params: Params = {"weighting": weighting}
    if weighting == "fixed":
        edema_share = trial.suggest_float("edema_share", 0.2, 0.8)
        params["fixed_weights"] = (2 * (1 - edema_share), 2 * edema_share)
    if weighting == "dynamic":
        params["weighting_temperature"] = trial.suggest_float("weighting_temperature", 0.5, 5.0, log=True)
    if weighting == "gradnorm":
        params["gradnorm_alpha"] = trial.suggest_float("gradnorm_alpha", 0.0, 3.0)
    return params


def suggest_loss(trial: Trial) -> Params:
    """Weights for rare grades, and either a focal term or smoothed labels: a focal term alone cannot be smoothed."""
    class_weights = trial.suggest_categorical("class_weights", ["none", "sqrt_inverse", "inverse", "effective_number"])
    params: Params = {"class_weights": class_weights}
    if class_weights == "effective_number":
        params["effective_beta"] = trial.suggest_float("effective_beta", 0.9, 0.999)
    if trial.suggest_categorical("focal", [False, True]):
        return params | {"focal_gamma": trial.suggest_float("focal_gamma", 0.5, 3.0)}
    return params | {"label_smoothing": trial.suggest_float("label_smoothing", 0.0, 0.2)}


def suggest_recipe(trial: Trial) -> Params:
    """Crops, mirrors, turns and colours of the photograph; how strong, and from when."""
    params = suggest_augmentation(trial)
    if params["augmentation"]:
        params["severity"] = trial.suggest_categorical("severity", ["light", "moderate", "aggressive"])
    return params


def defaults(situation: Situation) -> Params:
    """Trial 0: what a person who knows the field would write."""
    weighting = {"weighting": "uncertainty", "edema_share": 0.5, "weighting_temperature": 2.0}
    weighting |= {} if situation.own_network else {"gradnorm_alpha": 1.5}
    return {
        **default_rates(situation, from_scratch=3e-3),
        "weight_decay": 1e-2,
        "effective_batch": 16,
        "warmup_fraction": 0.1,
        "min_lr_ratio": 0.01,
        **(weighting if situation.num_tasks > 1 else {}),
        "class_weights": "none",
        "effective_beta": 0.99,
        "focal": False,
        "focal_gamma": 2.0,
        "label_smoothing": 0.0,
        "dropout": 0.0,
        "augmentation": True,
        "severity": "light",
        "initial_strength": 0.4,
        "strength_rise": 0.6,
        "start_fraction": 0.0,
        "ramp_fraction": 0.1,
        "averaging": False,
        "half_life_epochs": 0.5,
        **default_backbone(situation),
    }


def recommended(situation: Situation) -> list[Params]:
    """The other ways to balance two tasks, what the imbalance of the grades asks for, and the document's training."""
    document = {"max_lr": 1e-4, "backbone_lr_ratio": 0.1, "warmup_fraction": 0.0, "unfreezing": True}
    others: list[Params] = [{"class_weights": "sqrt_inverse"}, {"averaging": True}]
    if situation.num_tasks > 1:
        others = [{"weighting": "dynamic", "class_weights": "sqrt_inverse"}, {"weighting": "equal", "averaging": True}]
    first = recommended_backbone(situation)
    return [*first, *others, *documented_rates(situation, document)]


SPACE = Space(
    name="retina",
    job="two grades of one fundus photograph",
    workload="retina",
    objective="val/mean_kappa",
    suggest=suggest,
    defaults=defaults,
    recommended=recommended,
    beside_own_network={"dropout": 0.0},
    max_warmup_fraction=MAX_WARMUP_FRACTION,
)
