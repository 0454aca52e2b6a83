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
from tuner.outcomes import Outcome
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
    search = read_search(folder, space=str(settings["space"]))
    if search.comparison_epoch is None or not (folder / FILE).is_file():
        raise ValueError(f"{folder} has no measured trial to start from; give another --warm-start, or none.")
    others = [word for name, word in _COMPARED.items() if search.settings.get(name) != settings[name]]
    if others:
        points = warm_points(folder, search, space)
        logger.info(
            "%s is of another %s: its best are tried first, %d of them, and its values are not used.",
            wording.path(folder),
            " and ".join(others),
            len(points),
        )
        return WarmStart(points=points)
    return WarmStart(imported=_known(folder, search, space, base, first_points))


def warm_points(folder: Path, search: SearchRecord, space: Callable[[optuna.Trial], dict]) -> list[dict]:
    """The best parameters that `space` can ask for, the best first, at most NUM_BEST."""
    asked = {trial.user_attrs["number"]: trial.params for trial in load_mirror(folder / FILE).trials}
    best = [trial.number for trial in search.ranked(search.comparison_epoch)[:NUM_BEST] if trial.number in asked]
    points = []
    for number in best:
        try:
            check_params(space, asked[number])
            points.append(asked[number])
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
    old_base = read_config(search.settings["base_config"])
    known = []
    for one in past:
        trained = _full(search.by_id[one.trial_id].params, old_base)
        asked = _asked_as(one, space, base, first_points[0], trained=trained)
        known += [] if asked is None else [_imported(one, asked, folder, space)]
    left_out = len(past) - len(known)
    logger.info(
        "%d trials of %s are known from the start%s.",
        len(known),
        wording.path(folder),
        f"; {left_out} are left out, because this space could not propose them" if left_out else "",
    )
    return [one for one in known if one.frozen.params not in first_points]


def _asked_as(
    one: PastTrial, space: Callable[[optuna.Trial], dict], base: TrialConfig, default: Mapping, *, trained: Mapping
) -> dict | None:
    """The trial's parameters as this space would have asked for them; None where it would not train the same."""
    trial = AnsweredTrial({**default, **one.frozen.params})
    try:
        params = space(trial)
        check_params(space, trial.asked)
        return trial.asked if _full(params, base) == trained else None
    except ValueError:
        return None


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
