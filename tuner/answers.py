"""Whether answers are those of a space."""

import warnings
from collections.abc import Callable
from typing import Any

import optuna


def check_answers(space: Callable[[Any], dict], answers: dict[str, Any]) -> None:
    """Raises ValueError unless these are exactly what the space asks for, each within its range."""
    trial = optuna.trial.FixedTrial(answers)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        try:
            space(trial)
        except (UserWarning, ValueError) as error:
            raise ValueError(f"{answers} cannot be tried first: {error}") from error
    unknown = sorted(answers.keys() - trial.params.keys())
    if unknown:
        asked = ", ".join(sorted(trial.params))
        raise ValueError(f"{answers} cannot be tried first: the space does not ask for {unknown[0]!r}, but for {asked}")
