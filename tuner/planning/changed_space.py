"""Compares a space with the one that a search began with, and says whether the search can continue."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from search_spaces.stub_trials import Distribution, in_words
from tuner import formatting
from tuner.planning.plan import Plan, plan_from_records
from tuner.planning.spaces import recorded_space
from tuner.policy.candidates import SpaceSource
from tuner.records import RecordedSettings, SearchRecord

logger = logging.getLogger(__name__)


def ranges_in_words(asked: Mapping[str, Distribution]) -> dict[str, str]:
    """Ranges that a space asks for, as recorded text."""
    return {name: in_words(distribution) for name, distribution in asked.items()}


def check_space(folder: Path, search: SearchRecord) -> None:
    """Logs what has changed in the space; new trials are drawn from its current form.

    Raises:
        ValueError: a configuration on record no longer fits it.
    """
    settings = search.settings
    # That it is gone is another sentence.
    recorded_space(settings)
    began = f"The space {settings.space} has changed since this search began"
    way_out = (
        f"Restore the space (of version {settings.version}), or begin a new search with --warm-start "
        f"{formatting.argument(folder)}."
    )
    try:
        plan = plan_from_records(settings)
    except ValueError as error:
        raise ValueError(f"{began}: {error}. {way_out}") from error
    changes = "".join(f"; {change}" for change in _changes(settings, plan))
    if misfit := _first_misfit(search, plan):
        raise ValueError(f"{began}: {misfit}{changes}. {way_out}")
    if changes:
        logger.warning("%s: %s. What is on record still fits and is kept.", began, changes.removeprefix("; "))
    if _asks_in_another_order(search, plan):
        logger.warning(
            "The space %s asks in another order than when this search began, so new trials are others than without the "
            "interruption; ask in an order that is always the same, which that of a set is not.",
            settings.space,
        )


def _changes(settings: RecordedSettings, plan: Plan) -> Iterator[str]:
    now = ranges_in_words(plan.pinned_space.asked)
    before = now if settings.space_ranges is None else settings.space_ranges
    for name in sorted({*before, *now}):
        if name not in now:
            yield f"{name} is not searched any more"
        elif name not in before:
            yield f"{name} is searched now, {now[name]}"
        elif before[name] != now[name]:
            yield f"{name} was {before[name]}, is {now[name]}"
    try:
        default = plan.pinned_space.points_to_evaluate()[0]
    except ValueError:
        # A space that was narrowed past its own default: that on record counts, and is checked with the other trials.
        return
    recorded = settings.first_answers[:1]
    for name, value in recorded[0].items() if recorded else ():
        if name in default and _plain(default[name]) != _plain(value):
            yield f"the default of {name} was {value}, is {default[name]}"


def _first_misfit(search: SearchRecord, plan: Plan) -> str | None:
    source = SpaceSource(plan.pinned_space)
    recorded = [
        *((f"trial {trial.name}", trial.answers) for trial in search.trials),
        *((f"the past trial {past.trial}", past.answers) for past in search.past_trials),
        *(("a configuration to try first", answers) for answers in search.settings.first_answers),
    ]
    for what, answers in recorded:
        try:
            source.of(answers)
        except ValueError as error:
            return f"{what} does not fit: {error}"
    return None


def _asks_in_another_order(search: SearchRecord, plan: Plan) -> bool:
    """Whether the space asks for its parameters in another order than in a recorded trial."""
    source = SpaceSource(plan.pinned_space)
    return any(list(source.of(trial.answers).answers) != list(trial.answers) for trial in search.trials[:1])


def _plain(value: Any) -> Any:
    """Converts tuples to lists, as JSON returns them."""
    return list(value) if isinstance(value, tuple) else value
