"""A search that begins with what an earlier one found.

Where objective, budget and data are the same, the values of its ended trials are known to the proposer from the start.
They are no trials of this search: they are not on record, in the study's copy, or in the report, and can't win. Where
one of the three differs its values would mislead, and only its best configurations are tried first, right after the
default and the recommended ones.

A parameter that the earlier search did not ask for has the default's value, with which it trained. What the space no
longer asks for, or only in another range, is left out and counted in a sentence.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import optuna

from search_spaces.rehearsal import AnsweredTrial
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
    space_name: str,
    first_points: Sequence[Mapping],
    settings: Mapping[str, object],
) -> WarmStart:
    """What the search in `folder` gives to a new one with these `settings`; of `first_points` the default is the first.

    Raises:
        ValueError: the folder holds no search of that space, or one without anything to start from.
    """
    search = read_search(folder, space=space_name)
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
    return WarmStart(imported=_known(folder, search, space, first_points))


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
    folder: Path, search: SearchRecord, space: Callable[[optuna.Trial], dict], first_points: Sequence[Mapping]
) -> list[PastTrial]:
    """What is tried first in any case is measured again: all others are compared with it."""
    past = [one for one in past_trials(folder, search) if one.outcome is not Outcome.FAILED]
    translated = [(one, _asked_as(one, space, first_points[0])) for one in past]
    known = [_imported(one, params, folder, space) for one, params in translated if params is not None]
    logger.info(
        "%d trials of %s are known from the start%s.",
        len(known),
        wording.path(folder),
        f"; {len(past) - len(known)} are left out, because this space could not propose them"
        if len(known) < len(past)
        else "",
    )
    return [one for one in known if one.frozen.params not in first_points]


def _asked_as(one: PastTrial, space: Callable[[optuna.Trial], dict], default: Mapping) -> dict | None:
    """The trial's parameters as this space would have asked for them; None where it would not."""
    trial = AnsweredTrial({**default, **one.frozen.params})
    try:
        config = space(trial)
        check_params(space, trial.asked)
    except ValueError:
        return None
    is_same = all(config.get(name) == value for name, value in one.frozen.params.items())
    return trial.asked if is_same else None


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
