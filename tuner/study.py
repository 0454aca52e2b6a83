"""A new Optuna study, with one of the samplers that a search proposes by."""

import warnings

import optuna
from optuna.exceptions import ExperimentalWarning

from tuner.excerpt import ExcerptTPESampler


def new_study(sampler: str, *, mode: str, seed: int) -> optuna.Study:
    if sampler not in _SAMPLERS:
        raise ValueError(f"sampler is {sampler!r}, but must be one of {', '.join(_SAMPLERS)}")
    direction = {"max": "maximize", "min": "minimize"}[mode]
    return optuna.create_study(sampler=_SAMPLERS[sampler](seed), direction=direction)


def _tpe(seed: int) -> optuna.samplers.BaseSampler:
    """Joint over each group of parameters that occur together, which is what a conditional space needs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return ExcerptTPESampler(seed=seed, multivariate=True, group=True)


_SAMPLERS = {"tpe": _tpe, "random": lambda seed: optuna.samplers.RandomSampler(seed=seed)}
