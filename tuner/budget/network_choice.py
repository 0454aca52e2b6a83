"""Which network a search of the user's own images trains, where they say nothing: measured, not guessed.

What: where weights are at hand, their backbone and the small network from scratch train side by side in the pilot
    run, each as its own default, for the same time. The one with the best epoch is searched.
Why: trained weights are ahead on most sets of a few hundred photographs, and behind where objects are thin and an
    update is dear: figures in results/LOG.md, 2026-11-29.
Cost: the second pilot run takes another slot; the steps are timed again if the small network is taken. Off: `--set` of
    `backbone` or `weights`, or `--max-epochs`, which leaves the pilot run out.
"""

import logging
from dataclasses import dataclass, replace

from trainable.config import flat_params
from trainable.console.process import silence_loggers
from trainable.reporting.waiting import Waiting
from tuner import formatting
from tuner.budget.learning_curve import LearningCurve
from tuner.budget.measurement import Measurement, measure
from tuner.planning.base_config import set_options, small_network, with_small_network
from tuner.planning.opened_data import OpenedData, open_for_search
from tuner.planning.plan import Plan, plan_on
from tuner.policy.halving import sign_of
from tuner.settings import SearchSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredPlan:
    """A plan and its measurement."""

    settings: SearchSettings
    opened: OpenedData
    plan: Plan
    measured: Measurement


def choose_network(
    settings: SearchSettings, opened: OpenedData, plan: Plan, *, pilot_seconds: float | None
) -> MeasuredPlan:
    """Measures the plan and the one with the small network; returns the one with the better pilot run.

    Args:
        pilot_seconds: of each pilot run; None for none, and the plan stays.

    Raises:
        ValueError: the cluster cannot be reached or is too small, or a configuration cannot be trained on it.
    """
    rival = None if pilot_seconds is None else with_small_network(settings, opened.base)
    if rival is None:
        measured = measure(settings, plan, pilot_seconds=pilot_seconds)
        return MeasuredPlan(settings=settings, opened=opened, plan=plan, measured=measured)
    # The findings in the data have been logged.
    with Waiting("Opening the data for the small network") as waiting, silence_loggers("trainable.tasks.data_notes"):
        rivals_data = open_for_search(rival, on_progress=waiting.count)
    rivals_plan = plan_on(rivals_data, rival)
    measured = measure(settings, plan, pilot_seconds=pilot_seconds, rival=rivals_plan.first_configs[0])
    is_behind = is_better(measured.rival_curve, measured.curve)
    logger.info("%s", choice_in_words(plan, measured, takes_small=is_behind))
    if not is_behind:
        return MeasuredPlan(settings=settings, opened=opened, plan=plan, measured=measured)
    again = replace(measure(rival, rivals_plan), curve=measured.rival_curve)
    return MeasuredPlan(settings=rival, opened=rivals_data, plan=rivals_plan, measured=again)


def is_better(one: LearningCurve | None, other: LearningCurve | None) -> bool:
    """Compares the best epochs of two pilot runs; a run without an epoch is never better."""
    if one is None or not one.values:
        return False
    return other is None or not other.values or max(one.values) > max(other.values)


def choice_in_words(plan: Plan, measured: Measurement, *, takes_small: bool) -> str:
    """Describes the results of both pilot runs, the chosen network, and the options for the other one."""
    trained, small = (_reached(plan, curve) for curve in (measured.curve, measured.rival_curve))
    names = flat_params(plan.base)
    other = (
        {name: names[name] for name in ("backbone", "weights")} if takes_small else small_network(plan.base.workload)
    )
    return (
        f"Trained weights reached {trained}, the small network from scratch {small}; the search trains "
        f"{'the small network' if takes_small else 'from the weights'}. For the other: {set_options(other)}."
    )


def _reached(plan: Plan, curve: LearningCurve | None) -> str:
    if curve is None or not curve.values:
        return "no epoch in time"
    value = formatting.number(sign_of(plan.space.mode) * max(curve.values))
    return f"{formatting.metric(plan.space.objective)} {value} in {formatting.count(curve.epochs, 'epoch')}"
