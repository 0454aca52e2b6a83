"""A search that begins with what an earlier one found.

Where objective, budget and data are the same, the values of its ended trials are known to the proposer from the start.
They are no trials of this search: they are not on record, in the study's copy, or in the report, and can't win. Where
one of the three differs its values would mislead, and only its best configurations are tried first, right after the
default and the recommended ones.

A parameter that the earlier search did not ask for gets the default's value. Then the whole configuration that comes of
it must be the one that was trained; a trial that this space could not propose so is left out and counted in a sentence.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import optuna

from search_spaces.rehearsal import AnsweredTrial
from trainable.config import TrialConfig, flat_params, from_params
from trainable.tasks.registry import read_config
from tuner import wording
from tuner.extension import PastTrial, past_trials
from tuner.policy.outcomes import Outcome
from tuner.proposer import check_params
from tuner.records import SearchRecord, read_search
from tuner.study_mirror import FILE, load_mirror

logger = logging.getLogger(__name__)

NUM_BEST = 5
_COMPARED = {"objective": "objective", "max_epochs": "budget", "data_fingerprint": "data"}
"""Settings without which values can't stand side by side, and what a person calls them."""
_MAY_DIFFER = frozenset({"seed", "source"})
"""Of a configuration: data is compared by its fingerprint, wherever it lies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmStart:
    """What is taken over."""

    points: Sequence[dict] = ()
    """To be tried first, by the names that the space asks for."""
    imported: Sequence[PastTrial] = ()
    """Known to the proposer."""


def warm_start(
    folder: Path,
    space: Callable[[optuna.Trial], dict],
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
    search = read_search(folder, space=str(settings.space))
    if search.comparison_epoch is None or not (folder / FILE).is_file():
        raise ValueError(f"{folder} has no measured trial to start from; give another --warm-start, or none.")
    others = [word for name, word in _COMPARED.items() if search.settings.get(name) != settings[name]]
    known = [] if others else _known(folder, search, space, base, first_points)
    if known:
        return WarmStart(imported=known)
    points = _best_points(folder, search, space, first_points[0])
    why = f"{wording.path(folder)} is of another {' and '.join(others)}: its" if others else "Its"
    logger.info("%s best are tried first, %d of them, and its values are not used.", why, len(points))
    return WarmStart(points=[point for point in points if point not in first_points])


def _best_points(
    folder: Path, search: SearchRecord, space: Callable[[optuna.Trial], dict], default: Mapping
) -> list[dict]:
    """The best parameters as `space` would ask for them, the best first, at most NUM_BEST."""
    asked = {trial.user_attrs["number"]: trial.params for trial in load_mirror(folder / FILE).trials}
    best = [trial.number for trial in search.ranked(search.comparison_epoch)[:NUM_BEST] if trial.number in asked]
    points = []
    for number in best:
        try:
            point, _ = _answered(space, asked[number], default)
            points += [] if point in points else [point]
        except ValueError as error:
            logger.info("trial %d of %s is not tried again: %s", number, wording.path(folder), error)
    return points


def _known(
    folder: Path,
    search: SearchRecord,
    space: Callable[[optuna.Trial], dict],
    base: TrialConfig,
    first_points: Sequence[Mapping],
) -> list[PastTrial]:
    """What is tried first in any case is measured again: all others are compared with it."""
    past = [one for one in past_trials(folder, search) if one.outcome is not Outcome.FAILED]
    old_base = read_config(search.settings.base_config)
    known = []
    for one in past:
        trained = _full(search.by_id[one.trial_id].params, old_base)
        asked = _asked_as(one, space, base, first_points[0], trained=trained)
        known += [] if asked is None else [_imported(one, asked, folder, space)]
    left_out = len(past) - len(known)
    known = [one for one in known if one.frozen.params not in first_points]
    logger.info(
        "%d trials of %s are known from the start%s.",
        len(known),
        wording.path(folder),
        f"; {left_out} are left out, because this space could not propose them" if left_out else "",
    )
    return known


def _asked_as(
    one: PastTrial, space: Callable[[optuna.Trial], dict], base: TrialConfig, default: Mapping, *, trained: Mapping
) -> dict | None:
    """The trial's parameters as this space would have asked for them; None where it would not train the same."""
    try:
        asked, params = _answered(space, one.frozen.params, default)
        return asked if _full(params, base) == trained else None
    except ValueError:
        return None


def _answered(space: Callable[[optuna.Trial], dict], params: Mapping, default: Mapping) -> tuple[dict, dict]:
    """What the space asks for when it gets these answers, and what it makes of them.

    Raises:
        ValueError: an answer lies outside the space, or it asks for nothing of this.
    """
    trial = AnsweredTrial({**default, **params})
    made = space(trial)
    if not params.keys() & trial.asked.keys():
        raise ValueError("The space asks for none of its parameters.")
    check_params(space, trial.asked)
    return trial.asked, made


def _full(params: Mapping, base: TrialConfig) -> dict:
    """All that a training follows but where its data lies and its seed."""
    whole = flat_params(from_params(params, base))
    return {name: value for name, value in whole.items() if name not in _MAY_DIFFER}


def _imported(one: PastTrial, params: dict, folder: Path, space: Callable[[optuna.Trial], dict]) -> PastTrial:
    """Under this space's ranges, with a mark, and with neither number nor outcome."""
    asked = optuna.trial.FixedTrial(params)
    space(asked)
    frozen = optuna.trial.create_trial(
        state=one.frozen.state,
        value=one.frozen.value,
        params=params,
        distributions=asked.distributions,
        intermediate_values=one.frozen.intermediate_values,
        user_attrs={"imported": str(folder)},
        system_attrs=one.frozen.system_attrs,
    )
    return replace(one, trial_id=f"{folder.name}/{one.trial_id}", number=None, frozen=frozen)
