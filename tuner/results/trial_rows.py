"""The table of all trials: what each reached, and why it ended in a few words."""

import textwrap
from collections.abc import Mapping
from string import Formatter
from typing import NamedTuple

from tuner import formatting
from tuner.importance.measure import Importance
from tuner.policy.outcomes import Outcome
from tuner.records import SearchRecord, TrialRecord
from tuner.results import progress
from tuner.results.differences import differences
from tuner.selection import in_search

SHOWN_DIFFERENCES = 4

REASONS: Mapping[Outcome, str] = {
    Outcome.COMPLETED: "completed {epochs}",
    Outcome.STOPPED_AT_RUNG: "stopped at rung {rung}",
    Outcome.DIVERGED: "diverged in epoch {epoch}",
    Outcome.OUT_OF_MEMORY: "out of memory",
    Outcome.OVER_LIMIT: "over the limit of {quantity}",
    Outcome.EXPERTS_COLLAPSED: "experts collapsed, epoch {epoch}",
    Outcome.PLATEAUED: "plateaued at epoch {epoch}",
    Outcome.FAILED: "failed after epoch {epoch}",
}

DETAILS: Mapping[Outcome, tuple[str, ...]] = {
    Outcome.STOPPED_AT_RUNG: (
        "rank {rank:g} of {of:g}",
        "predicted {predicted:.3g}",
        "cutoff {cutoff:.3g}",
        "no {short_of} space for its checkpoint",
    ),
    Outcome.DIVERGED: ("{term} was {value}",),
    Outcome.OUT_OF_MEMORY: ("{error}",),
    Outcome.OVER_LIMIT: ("{measured:.4g}, limit {limit:.4g}",),
    Outcome.PLATEAUED: ("best at epoch {best_epoch:g}",),
    Outcome.FAILED: ("{error}",),
}
"""Each is shown when all its numbers are on record."""
LONGEST_DETAIL = 120
"""Characters; an error of a library may be long."""


class TrialRow(NamedTuple):
    number: int
    name: str
    epochs: int
    last: float | None
    best: float | None
    seconds: float
    reason: str
    """Ending in about five words."""
    details: str
    """The numbers behind it, as far as they are known; empty where it tells all."""
    sentence: str
    """Sentence on the ending, with all numbers."""
    differs: str
    """Differences from the default, in the order of `differences`."""


def trial_row(search: SearchRecord, trial: TrialRecord, importance: Importance | None) -> TrialRow:
    best = in_search.best_epoch(search, trial)
    changed = [f"{one.parameter} {one.value}" for one in differences(search, trial, importance)]
    more = f" and {len(changed) - SHOWN_DIFFERENCES} more" if len(changed) > SHOWN_DIFFERENCES else ""
    return TrialRow(
        number=trial.number,
        name=trial.name,
        epochs=trial.last_epoch,
        last=None if trial.last is None else trial.last.objective,
        best=None if best is None else trial.objective_at(best),
        seconds=sum(result.seconds for result in trial.results.values()),
        reason=reason_of(search, trial),
        details=details_of(trial),
        sentence=trial.sentence,
        differs=f"{', '.join(changed[:SHOWN_DIFFERENCES])}{more}",
    )


def reason_of(search: SearchRecord, trial: TrialRecord) -> str:
    """Describes why a trial ended, without values, or what it is doing."""
    if trial.outcome is None:
        return "waits at a rung" if trial in progress.waiting(search) else "not finished"
    epoch = trial.last_epoch
    epochs = formatting.count(epoch, "epoch")
    numbers = {"epoch": epoch, "epochs": epochs, "rung": "?", "quantity": "a quantity"} | dict(trial.numbers)
    words = {name: f"{value:g}" if isinstance(value, int | float) else value for name, value in numbers.items()}
    if trial.outcome is Outcome.STOPPED_AT_RUNG and "rung" not in trial.numbers:
        return f"stopped at epoch {words['epoch']}"
    return formatting.one_line(REASONS[trial.outcome].format_map(words))


def details_of(trial: TrialRecord) -> str:
    """Formats the numbers behind the ending, such as `rank 11 of 14, predicted 0.648`."""
    clauses = () if trial.outcome is None else DETAILS.get(trial.outcome, ())
    known = [
        clause.format_map(trial.numbers)
        for clause in clauses
        if all(name in trial.numbers for _, name, *_ in Formatter().parse(clause) if name)
    ]
    return textwrap.shorten(formatting.one_line(", ".join(known)), LONGEST_DETAIL, placeholder=" ...")
