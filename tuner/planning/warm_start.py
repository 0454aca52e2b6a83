"""Starts a search from the results of an earlier one.

If objective, budget and data are the same, the policy starts with the values of the earlier search's ended trials.
They are recorded as past trials: they do not count as this search's trials, are not in its report, and can't win; a
resume does not need the earlier search's folder. If one of the three differs, its values would mislead: only its best
configurations are tried, right after the default and the recommended ones.

A parameter that the earlier search did not ask for gets the value that it trained with, else the default's; for a past
trial the resulting configuration must equal the one that was trained. Trials outside the space are skipped and counted.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from search_spaces.questions import is_answer
from search_spaces.space import Mode
from search_spaces.stub_trials import given_or_middle, in_words
from trainable.config import flat_params, from_params
from trainable.configuration.reference import activate
from trainable.configuration.run_config import RunConfig
from trainable.remote.local_source import absolute_source
from trainable.workloads.registry import read_config
from tuner import formatting
from tuner.policy.outcomes import Outcome
from tuner.records import SearchRecord, TrialRecord, read_search
from tuner.records.events import TRIALS
from tuner.records.recorder import PastTrial
from tuner.settings import AUTO, SearchSettings

logger = logging.getLogger(__name__)

NUM_BEST = 5
_COMPARED = {"objective": "objective", "max_epochs": "budget", "data_fingerprint": "data"}
"""Settings that must agree for values to be comparable, and their names in messages."""
_MAY_DIFFER = frozenset({"seed", "source"})
"""Fields of a configuration that may differ; data is compared by its fingerprint, not its folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmStart:
    """Results that a search takes over from an earlier one."""

    points: Sequence[dict] = ()
    """Answers to try first, by name."""
    past_trials: Sequence[PastTrial] = ()


def with_earlier_search(settings: SearchSettings) -> SearchSettings:
    """Replaces `AUTO` by the latest search of the same space, objective and data, preferably of the same length.

    Without such a search with a measured trial, there is no warm start.
    """
    if settings.warm_start != AUTO:
        return settings
    found = _earlier_searches(settings)
    if not found:
        logger.info("There is no earlier search of this space and data to start from.")
        return replace(settings, warm_start=None)
    # On images of the user's own, no length means that of the earlier search.
    own_length = settings.found_space.space.max_epochs if settings.data is None else None
    wanted = settings.max_epochs or own_length
    same_length = [folder for folder, epochs in found.items() if wanted in (None, epochs)]
    return replace(settings, warm_start=next(iter([*same_length, *found])))


def _earlier_searches(settings: SearchSettings) -> dict[Path, int]:
    """Maps the folders of earlier searches to their epochs, latest first; skips folders that can't be read."""
    found = {}
    place, objective = settings.folder.parent, settings.found_space.space.objective
    for path in sorted(place.glob(f"*/{TRIALS}"), key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            search = read_search(path.parent)
        except ValueError as error:
            logger.info("%s is not a search to start from: %s", formatting.path(path.parent), error)
            continue
        recorded = search.settings
        is_alike = recorded.objective == objective and _place(recorded.data) == _place(settings.data)
        if is_alike and search.comparison_epoch is not None:
            found[path.parent] = recorded.max_epochs
    return found


def _place(data: str | None) -> str | None:
    """Normalises the text of a folder: `photos`, `photos/` and `./photos` are the same."""
    return None if data is None else absolute_source(data)


def warm_start(
    folder: Path,
    space: Callable[[Any], dict],
    *,
    base: RunConfig,
    points_to_evaluate: Sequence[Mapping],
    settings: Mapping[str, object],
) -> WarmStart:
    """Returns the results that a new search with these `settings` takes over from the search in `folder`.

    Args:
        base: the configuration that the new search's parameters override.
        points_to_evaluate: answers that the new search tries anyway, the default first.

    Raises:
        ValueError: the folder holds no search of that space, or one without a measured trial.
    """
    search = read_search(folder, space=str(settings["space"]))
    if search.settings.objective == settings["objective"]:
        # Its direction may have been put right since.
        search.settings = replace(search.settings, mode=cast(Mode, settings["mode"]))
    epoch = search.comparison_epoch
    if epoch is None:
        raise ValueError(f"{folder} has no measured trial to start from; give another --warm-start, or none.")
    others = [word for name, word in _COMPARED.items() if getattr(search.settings, name) != settings[name]]
    known = [] if others else _known(folder, search, space, base, points_to_evaluate)
    if known:
        return WarmStart(past_trials=known)
    points = _best_points(folder, search.rank(epoch)[:NUM_BEST], space, points_to_evaluate[0])
    path, best = formatting.path(folder), formatting.count(len(points), "best configuration")
    why = f"{path} differs in {' and '.join(others)}" if others else f"No trial of {path} is one of this space"
    logger.info("%s: its %s come first; its values are not used.", why, best)
    return WarmStart(points=[point for point in points if point not in points_to_evaluate])


def _best_points(
    folder: Path, best: Sequence[TrialRecord], space: Callable[[Any], dict], default: Mapping
) -> list[dict]:
    """Answers of the best trials in `space`, in the same order; skips trials outside of it."""
    points: list[dict] = []
    for trial in best:
        try:
            point, _ = _answered(space, trial, default)
            points += [] if point in points else [point]
        except ValueError as error:
            logger.info("trial %s of %s is not tried again: %s", trial.name, formatting.path(folder), error)
    return points


def _known(
    folder: Path,
    search: SearchRecord,
    space: Callable[[Any], dict],
    base: RunConfig,
    points_to_evaluate: Sequence[Mapping],
) -> list[PastTrial]:
    """The ended trials that this space can train, except those that the new search tries anyway."""
    activate(search.settings.references)
    old_base = read_config(search.settings.base_config)
    known, num_skipped = [], 0
    for trial in search.trials:
        if trial.outcome is None or trial.outcome is Outcome.FAILED:
            continue
        trained = _full(trial.params, old_base)
        try:
            answers, params = _answered(space, trial, points_to_evaluate[0])
            is_the_same = _full(params, base) == trained
        except ValueError:
            is_the_same = False
        if is_the_same:
            values = {epoch: result.objective for epoch, result in trial.results.items()}
            # A folder may be given as `.`, which has no name.
            name = f"{folder.resolve().name}/{trial.name}"
            known.append(PastTrial(trial=name, answers=answers, values=values, outcome=trial.outcome))
        else:
            num_skipped += 1
    known = [one for one in known if one.answers not in points_to_evaluate]
    if not known:
        return []
    logger.info(
        "Starting with the values of %s of %s%s.",
        formatting.count(len(known), "trial"),
        formatting.path(folder),
        f"; {num_skipped} outside this space are skipped" if num_skipped else "",
    )
    return known


def _answered(space: Callable[[Any], dict], past: TrialRecord, default: Mapping) -> tuple[dict, dict]:
    """Returns a trial's answers to the space, fixed values included, and the parameters that the space gives for them.

    Raises:
        ValueError: an answer is outside the space, or the space asks for none of them.
    """
    trial = given_or_middle({**default, **past.params, **past.answers})
    made = space(trial)
    if not past.answers.keys() & trial.params.keys():
        raise ValueError("The space asks for none of its parameters.")
    for name, asked in trial.distributions.items():
        if not is_answer(trial.params[name], asked):
            raise ValueError(f"{name} is {trial.params[name]!r}, but the space asks for {in_words(asked)}")
    return trial.params, made


def _full(params: Mapping, base: RunConfig) -> dict:
    """Complete configuration without seed and data folder."""
    whole = flat_params(from_params(params, base))
    return {name: value for name, value in whole.items() if name not in _MAY_DIFFER}
