"""The documents' own search for `dishes`: a grid, to be beaten on the same data with the same budget.

    python -m tuner.search --space dishes_grid --scheduler none --trials 18

Three learning rates, three weight decays and two algorithms, on cross-entropy without augmentation. The documents name
108 combinations, but their code uses neither the batch size nor the schedule that it varies: 18 are distinct, and all
of them come first here. `--scheduler none` trains each at full length, as a grid does.
"""

from itertools import product

from search_spaces.space import Params, Situation, Space, Trial

MAX_LR = (1e-3, 3e-3, 1e-2)
WEIGHT_DECAY = (1e-4, 1e-3, 1e-2)
ALGORITHMS = ("adam", "sgd")


def suggest(trial: Trial, situation: Situation) -> Params:
    return {
        "max_lr": trial.suggest_categorical("max_lr", MAX_LR),
        "weight_decay": trial.suggest_categorical("weight_decay", WEIGHT_DECAY),
        "algorithm": trial.suggest_categorical("algorithm", ALGORITHMS),
        "schedule_kind": "constant",
        "warmup_fraction": 0.0,
        "min_lr_ratio": 1.0,
        "class_weights": "none",
        "augmentation": False,
        "averaging": False,
    }


def defaults(situation: Situation) -> Params:
    return {"max_lr": 1e-3, "weight_decay": 1e-4, "algorithm": "adam"}


def recommended(situation: Situation) -> list[Params]:
    """All of the grid."""
    names = ("max_lr", "weight_decay", "algorithm")
    return [dict(zip(names, values, strict=True)) for values in product(MAX_LR, WEIGHT_DECAY, ALGORITHMS)]


SPACE = Space(
    name="dishes_grid",
    job="the grid of the document of dishes, as a baseline",
    workload="dishes",
    objective="val/macro_f1",
    suggest=suggest,
    defaults=defaults,
    recommended=recommended,
)
