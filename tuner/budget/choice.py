"""Chooses how a search spends its time: epochs of a full training, first rung, number of trials, confirmation.

What: the epochs and the first rung follow from the default's learning curve in its pilot run, else from the space.
    With a stated time (`--for`), the largest number of trials is taken whose longest of six simulations ends in time,
    the confirmation included. The confirmation is of as many as fit into a third of the time, one at
    least. Where fewer than `ENOUGH_TRIALS` fit, full trainings are shortened, a quarter at a time; below the length at
    which the default is above the trivial prediction only as far as the least search needs.
Cost: up to .2 seconds for each number of trials that is simulated, eight for each length.
"""

import logging
import math
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Self

from trainable.config import TrialConfig, from_params
from tuner import formatting
from tuner.budget.dry_run_text import length_in_words, pilot_in_words
from tuner.budget.duration import MOST_PLAYS, DurationEstimate, SearchShape, Seconds, estimate_duration
from tuner.budget.learning_curve import LEAST_EPOCHS, PILOT_SECONDS, LearningCurve
from tuner.budget.measurement import Measurement
from tuner.planning.base_config import ABOUT_NETWORKS, small_network
from tuner.planning.opened_data import OpenedData
from tuner.planning.plan import Plan, plan_on
from tuner.policy.candidates import SpaceSource
from tuner.records import ConfirmSeeds, TrialResources
from tuner.records.settings import read_settings
from tuner.settings import SearchSettings

logger = logging.getLogger(__name__)

ENOUGH_TRIALS = 10
"""Number of trials below which shorter trainings of more trials are better."""
LEAST_TRIALS = 3
"""The default and two others: less is not a search."""
MOST_TRIALS = 100
CONFIRMED_SHARE = 1 / 3
"""Largest share of the stated time for confirming more than one trial."""
SHORTER = 0.75
PROPOSALS = 200
"""Configurations drawn to estimate how often each of the timed ones is the most similar."""
PLAYS = 6
"""Simulations of a number of trials; the longest of them must end in time."""
PILOT_SHARE = 0.15
"""Largest share of the stated time for the pilot run of the default."""
RESERVE = 0.05
"""Share of the stated time that is kept for report and export."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Costs:
    """Times of a space's configurations, independent of the length of a training, for many estimates."""

    measured: Measurement
    proposed: tuple[Seconds, ...]
    first: tuple[Seconds, ...]

    @classmethod
    def of(cls, plan: Plan, measured: Measurement) -> Self:
        generator, source = random.Random(0), SpaceSource(plan.pinned_space)
        drawn = [from_params(source.any(generator).params, plan.base) for _ in range(PROPOSALS)]
        proposed, first = (
            tuple(measured.seconds_of(config) for config in configs) for configs in (drawn, plan.first_configs)
        )
        return cls(measured=measured, proposed=proposed, first=first)

    def estimate_duration(self, settings: SearchSettings, plan: Plan, *, most_plays: int) -> DurationEstimate:
        return estimate_duration(
            shape_of(settings, plan, self.measured.resources),
            costs=self.proposed,
            first=self.first,
            process_seconds=self.measured.process_seconds,
            most_plays=most_plays,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """A plan that fits a time, with its estimate."""

    settings: SearchSettings
    plan: Plan
    expected: DurationEstimate


def fit_plan(
    settings: SearchSettings, opened: OpenedData, plan: Plan, measured: Measurement, *, began: float
) -> tuple[SearchSettings, Plan]:
    """Fits settings and plan to the epochs of the learning curve, and to the stated time.

    Args:
        plan: as the space has it; a length that the user gave stays.
        began: start of the command, by the monotonic clock.

    Raises:
        ValueError: the stated time is too short for a search.
    """
    if measured.curve is not None:
        logger.info("Pilot run: %s.", pilot_in_words(plan, measured.curve))
    curve = measured.curve if measured.curve is not None and measured.curve.values else None
    wanted = plan.max_epochs if settings.max_epochs is not None or curve is None else curve.full_epochs
    stated = settings.duration_seconds
    if stated is None:
        settings, plan = _of_length(settings, opened, plan, measured, wanted)
        logger.info("Planned: %s.", length_in_words(plan, measured))
        return settings, plan
    # Further seeds while undecided would not end in time.
    seeds = settings.confirm_seeds.first
    settings = replace(settings, confirm_seeds=ConfirmSeeds(first=seeds, last=seeds))
    before = time.monotonic() - began + measured.ray_seconds
    lengths = [wanted] if settings.max_epochs is not None else _shorter_and_shorter(wanted)
    plans = (_of_length(settings, opened, plan, measured, max_epochs) for max_epochs in lengths)
    useful = 0 if curve is None else curve.least_useful_epochs
    usable_seconds = (1 - RESERVE) * stated - before - measured.process_seconds
    bought = _bought(plans, _Costs.of(plan, measured), usable_seconds, useful_epochs=useful)
    logger.info("%s", _in_words(bought, measured, before))
    if curve is not None and bought.plan.max_epochs < useful:
        logger.warning("%s", _too_short_to_learn(bought.plan, curve))
    settings = replace(bought.settings, left_seconds=stated - before)
    return settings, plan_on(opened, settings, first_rung=next(iter(bought.plan.rungs), None))


def like_the_earlier_search(settings: SearchSettings) -> SearchSettings:
    """Takes over length and network of a warm start on the user's own data: with others, values differ.

    Raises:
        ValueError: the folder of the warm start holds no search.
    """
    if settings.data is None or settings.warm_start is None:
        return settings
    earlier = read_settings(settings.warm_start)
    is_said = not ABOUT_NETWORKS.isdisjoint({*settings.pinned, *settings.ranges})
    network: dict[str, object] = {}
    if not is_said and {"backbone", "encoder"} & earlier.pinned.keys():
        small = small_network(settings.found_space.space.workload)
        network = small if small.items() <= earlier.pinned.items() else {}
    pinned = {**settings.pinned, **network}
    return replace(settings, pinned=pinned, max_epochs=settings.max_epochs or earlier.max_epochs)


def pilot_seconds(settings: SearchSettings, opened: OpenedData) -> float | None:
    """Longest pilot run; None if the length of a full training is known.

    It is known if the user gives it, for embedded data, and for a user's own loop.
    """
    if settings.data is None or settings.max_epochs is not None or not isinstance(opened.base, TrialConfig):
        return None
    stated = settings.duration_seconds
    return PILOT_SECONDS if stated is None else min(PILOT_SECONDS, PILOT_SHARE * stated)


def shape_of(settings: SearchSettings, plan: Plan, resources: TrialResources) -> SearchShape:
    return SearchShape(
        num_trials=settings.num_trials,
        slots=resources.concurrent,
        max_epochs=plan.max_epochs,
        rung_epochs=plan.rungs,
        reduction_factor=plan.space.reduction_factor,
        promotes=settings.scheduler == "asha",
        confirm=settings.confirm,
        seeds=settings.confirm_seeds,
    )


def expected_duration(settings: SearchSettings, plan: Plan, measured: Measurement) -> DurationEstimate:
    """Estimates the duration of a search from its measurements."""
    return _Costs.of(plan, measured).estimate_duration(settings, plan, most_plays=MOST_PLAYS)


def _shorter_and_shorter(epochs: int) -> Iterator[int]:
    yield epochs
    while (epochs := int(SHORTER * epochs)) >= LEAST_EPOCHS:
        yield epochs


def _of_length(
    settings: SearchSettings, opened: OpenedData, plan: Plan, measured: Measurement, max_epochs: int
) -> tuple[SearchSettings, Plan]:
    """The same search with full trainings of this many epochs."""
    curve, rung = measured.curve, None
    if curve is not None and curve.values and plan.rungs:
        rung = curve.first_rung(opened.space.grace_epochs / opened.space.max_epochs, max_epochs)
    settings = replace(settings, max_epochs=max_epochs)
    return settings, plan_on(opened, settings, first_rung=rung)


def _bought(
    plans: Iterable[tuple[SearchSettings, Plan]], costs: _Costs, usable_seconds: float, *, useful_epochs: int
) -> Bought:
    """The first plan in which enough trials fit, else the one with the most trials; the longest if none is useful.

    Args:
        plans: the longest trainings first.
        useful_epochs: more trials are not worth trainings shorter than these.

    Raises:
        ValueError: the least search of the shortest plan takes longer.
    """
    best, least = None, None
    for settings, plan in plans:
        if best is not None and plan.max_epochs < useful_epochs:
            return best
        least = _least(settings, plan, costs, usable_seconds)
        if least.expected.longest_seconds <= usable_seconds:
            found = _with_most_trials(least, costs, usable_seconds)
            if best is None or found.settings.num_trials > best.settings.num_trials:
                best = found
            if found.settings.num_trials >= ENOUGH_TRIALS:
                return found
    if best is not None:
        return best
    assert least is not None
    raise ValueError(_too_short(least, usable_seconds))


def _least(settings: SearchSettings, plan: Plan, costs: _Costs, usable_seconds: float) -> Bought:
    """The fewest trials, with as many confirmed as fit into their share of the time, one at least."""
    for confirm in range(settings.confirm, -1, -1):
        asked = replace(settings, num_trials=max(LEAST_TRIALS, confirm + 1), confirm=confirm)
        least = Bought(settings=asked, plan=plan, expected=costs.estimate_duration(asked, plan, most_plays=PLAYS))
        if confirm <= 1 or least.expected.median.confirm_seconds <= CONFIRMED_SHARE * usable_seconds:
            return least
    raise AssertionError(f"confirm is {settings.confirm}")


def _with_most_trials(least: Bought, costs: _Costs, usable_seconds: float) -> Bought:
    """Finds by bisection the most trials that fit in the time."""
    best, low, high = least, least.settings.num_trials + 1, MOST_TRIALS
    while low <= high:
        middle = (low + high) // 2
        settings = replace(least.settings, num_trials=middle)
        expected = costs.estimate_duration(settings, least.plan, most_plays=PLAYS)
        if expected.longest_seconds <= usable_seconds:
            best, low = replace(best, settings=settings, expected=expected), middle + 1
        else:
            high = middle - 1
    return best


def _too_short(least: Bought, usable_seconds: float) -> str:
    stated = least.settings.duration_seconds
    assert stated is not None
    needed = stated - usable_seconds + least.expected.longest_seconds
    trials, epochs = least.settings.num_trials, least.plan.max_epochs
    search = f"{formatting.count(trials, 'trial')} of {formatting.count(epochs, 'epoch')}"
    confirmed = f", the best {least.settings.confirm} confirmed," if least.settings.confirm else ""
    return (
        f"--for is {formatting.duration(stated)}, and the smallest search, {search}{confirmed} takes up to "
        f"{formatting.duration(needed)}; give --for {math.ceil(1.1 * needed / 60)}m or more."
    )


def _too_short_to_learn(plan: Plan, curve: LearningCurve) -> str:
    assert plan.trivial is not None
    trivial = f"{plan.trivial.name}, {formatting.number(plan.trivial.objective)}"
    seen = f"only from epoch {curve.first_above} on" if curve.first_above else "in no two epochs in a row"
    return (
        f"Full trainings of {formatting.count(plan.max_epochs, 'epoch')} may learn too little: in its pilot run of "
        f"{formatting.count(curve.epochs, 'epoch')} the default was above {trivial} {seen}. Give --for more time."
    )


def _in_words(bought: Bought, measured: Measurement, before_seconds: float) -> str:
    settings, expected = bought.settings, bought.expected.median
    stated = settings.duration_seconds
    assert stated is not None
    seeds = formatting.count(settings.confirm_seeds.first, "seed")
    confirmed = f"the best {settings.confirm} confirmed on {seeds}" if settings.confirm else "not confirmed"
    parts = {"planning and start": before_seconds, "search": expected.search_seconds}
    parts |= {"confirmation": expected.confirm_seconds} if settings.confirm else {}
    durations = ", ".join(f"{part} {formatting.duration(seconds)}" for part, seconds in parts.items())
    return (
        f"{formatting.duration(stated)} buy {formatting.count(settings.num_trials, 'trial')}, "
        f"{length_in_words(bought.plan, measured)}, {confirmed}.\nExpected: {durations}."
    )
