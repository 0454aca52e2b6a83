"""A search space of your own for a workload of this project: what varies, in which range, and what depends on what.

    python -m tuner.search --space examples/own_space.py:SPACE --data path/to/dishes --trials 20

Data, network, loss, metrics and training loop are those of `dishes`; `python -m tuner.search --list` names what else a
space may set, and any other field of the configuration may be given with --set.
"""

from search_spaces.space import Params, Situation, Space, Trial


def suggest(trial: Trial, situation: Situation) -> Params:
    params = {
        "max_lr": trial.suggest_float("max_lr", 1e-4, 1e-2, log=True),
        "algorithm": trial.suggest_categorical("algorithm", ("adamw", "sgd")),
        "mixing": trial.suggest_categorical("mixing", (True, False)),
    }
    if params["algorithm"] == "sgd":  # asked for only then
        params["momentum"] = trial.suggest_float("momentum", 0.8, 0.98)
    return params


def defaults(situation: Situation) -> Params:
    """The configuration to beat. Trained weights need a lower rate."""
    return {"max_lr": 3e-4 if situation.pretrained else 1e-3, "algorithm": "adamw", "mixing": False}


def recommended(situation: Situation) -> list[Params]:
    """To be tried right after; what is left out is the default's."""
    return [{"algorithm": "sgd", "max_lr": 1e-2, "momentum": 0.9}]


SPACE = Space(
    name="my_dishes",
    workload="dishes",
    objective="val/macro_f1",
    suggest=suggest,
    defaults=defaults,
    recommended=recommended,
    max_epochs=6,
    grace_epochs=2,
    num_trials=12,
)
