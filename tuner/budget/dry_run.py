"""`--dry-run`: expected time and memory of a search, from a few steps of three of its configurations."""

import time
from dataclasses import dataclass

from tuner import formatting
from tuner.budget.choice import expected_duration
from tuner.budget.dry_run_text import (
    StartUp,
    checked_line,
    expected_facts,
    expected_lines,
    planned_lines,
    timing_lines,
)
from tuner.budget.measurement import Measurement, drawn_configs, measure
from tuner.planning.plan import Plan
from tuner.settings import SearchSettings


@dataclass(frozen=True, slots=True)
class Estimate:
    """Estimated cost of a search."""

    text: str
    facts: dict[str, object]
    """Plain data, for --json."""


def dry_run(settings: SearchSettings, plan: Plan, measured: Measurement | None, *, began: float) -> Estimate:
    """Times a few steps on the cluster that the search would use.

    Args:
        measured: what the plan was made from; None measures it now.
        began: start of the command, by the monotonic clock.

    Raises:
        ValueError: the cluster cannot be reached or is too small, or a configuration cannot be trained on it.
    """
    planned = time.monotonic()
    measured = measured or measure(settings, plan)
    start_up = StartUp(command=planned - began, ray=measured.ray_seconds, process=measured.process_seconds)
    expected, resources = expected_duration(settings, plan, measured), measured.resources
    trials = f"{formatting.count(settings.num_trials, 'trial')} of up to {formatting.count(plan.max_epochs, 'epoch')}"
    text = "\n".join(
        [
            f"{plan.space.name}: {trials}, {settings.scheduler} with {settings.sampler}; {resources}",
            *planned_lines(plan, measured),
            checked_line(plan, drawn_configs(plan)),
            *timing_lines(measured.timings),
            *expected_lines(settings, plan, resources, measured.timings, expected, start_up),
        ]
    )
    return Estimate(text, expected_facts(settings, plan, measured.timings, expected, start_up))
