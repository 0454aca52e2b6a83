"""A search that begins with what an earlier one found.

Where objective, budget and data are the same, the policy knows the values of its ended trials from the start. They are
put on record as past trials: they are none of this search's, do not stand in the report, and can't win; and a resume
continues without the earlier search's folder. Where one of the three differs its values would mislead, and only its
best configurations are tried first, right after the default and the recommended ones.

A parameter that the earlier search did not ask for gets the default's value. Then the whole configuration that comes of
it must be the one that was trained. Trials outside the space are skipped and counted.
"""

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna

from search_spaces.stub_trials import given_or_middle
from trainable.config import TrialConfig, flat_params, from_params
from trainable.tasks.registry import read_config
from tuner import formatting
from tuner.policy.outcomes import Outcome
from tuner.records import SearchRecord, TrialRecord, read_search


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


logger = logging.getLogger(__name__)

NUM_BEST = 5
_COMPARED = {"objective": "objective", "max_epochs": "budget", "data_fingerprint": "data"}
"""Settings without which values can't stand side by side, and what a person calls them."""
_MAY_DIFFER = frozenset({"seed", "source"})
"""Of a configuration: data is compared by its fingerprint, wherever it lies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTrial:
    """An ended trial of another search."""

    trial: str
    """`<run>/<name>` of the search that it belongs to."""
    answers: dict[str, Any]
    """What this search's space would have asked for."""
    values: dict[int, float]
    """Objectives by epoch."""
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmStart:
    """What is taken over."""

    points: Sequence[dict] = ()
    """To be tried first, by the names that the space asks for."""
    past_trials: Sequence[PastTrial] = ()


def warm_start(
    folder: Path,
    space: Callable[[Any], dict],
    *,
    base: TrialConfig,
    first_points: Sequence[Mapping],
    settings: Mapping[str, object],
) -> WarmStart:
    """What the search in `folder` gives to a new one with these `settings`; of `first_points` the default is the first.

    `base` is what the new search's parameters are put over.

    Raises:
        ValueError: the folder holds no search of that space, or one without anything to start from.
    """
    search = read_search(folder, space=str(settings["space"]))
    epoch = search.comparison_epoch
    if epoch is None:
        raise ValueError(f"{folder} has no measured trial to start from; give another --warm-start, or none.")
    others = [word for name, word in _COMPARED.items() if getattr(search.settings, name) != settings[name]]
    known = [] if others else _known(folder, search, space, base, first_points)
    if known:
        return WarmStart(past_trials=known)
    points = _best_points(folder, search.ranked(epoch)[:NUM_BEST], space, first_points[0])
    why = f"{formatting.path(folder)} is of another {' and '.join(others)}: its" if others else "Its"
    logger.info("%s best are tried first, %d of them, and its values are not used.", why, len(points))
    return WarmStart(points=[point for point in points if point not in first_points])


def _best_points(
    folder: Path, best: Sequence[TrialRecord], space: Callable[[Any], dict], default: Mapping
) -> list[dict]:
    """Their parameters as `space` would ask for them, in the same order."""
    points: list[dict] = []
    for trial in best:
        try:
            point, _ = _answered(space, trial.answers, default)
            points += [] if point in points else [point]
        except ValueError as error:
            logger.info("trial %s of %s is not tried again: %s", trial.name, formatting.path(folder), error)
    return points


def _known(
    folder: Path, search: SearchRecord, space: Callable[[Any], dict], base: TrialConfig, first_points: Sequence[Mapping]
) -> list[PastTrial]:
    """What is tried first in any case is measured again: all others are compared with it."""
    old_base = read_config(search.settings.base_config)
    known, num_skipped = [], 0
    for trial in search.trials:
        if trial.outcome is None or trial.outcome is Outcome.FAILED:
            continue
        answers = _asked_as(trial, space, base, first_points[0], trained=_full(trial.params, old_base))
        if answers is None:
            num_skipped += 1
        else:
            known.append(_past(trial, trial.outcome, answers, folder))
    known = [one for one in known if one.answers not in first_points]
    logger.info(
        "%d trials of %s are known from the start%s.",
        len(known),
        formatting.path(folder),
        f"; {num_skipped} outside this space are skipped" if num_skipped else "",
    )
    return known


def _past(trial: TrialRecord, outcome: Outcome, answers: dict, folder: Path) -> PastTrial:
    values = {epoch: result.objective for epoch, result in trial.results.items()}
    return PastTrial(trial=f"{folder.name}/{trial.name}", answers=answers, values=values, outcome=outcome)


def _asked_as(
    trial: TrialRecord, space: Callable[[Any], dict], base: TrialConfig, default: Mapping, *, trained: Mapping
) -> dict | None:
    """The trial's parameters as this space would have asked for them; None where it would not train the same."""
    try:
        answers, params = _answered(space, trial.answers, default)
        return answers if _full(params, base) == trained else None
    except ValueError:
        return None


def _answered(space: Callable[[Any], dict], answers: Mapping, default: Mapping) -> tuple[dict, dict]:
    """What the space asks for when it gets these answers, and what it makes of them.

    Raises:
        ValueError: an answer lies outside the space, or it asks for nothing of this.
    """
    trial = given_or_middle({**default, **answers})
    made = space(trial)
    if not answers.keys() & trial.asked.keys():
        raise ValueError("The space asks for none of its parameters.")
    check_answers(space, trial.asked)
    return trial.asked, made


def _full(params: Mapping, base: TrialConfig) -> dict:
    """All that a training follows but where its data lies and its seed."""
    whole = flat_params(from_params(params, base))
    return {name: value for name, value in whole.items() if name not in _MAY_DIFFER}
