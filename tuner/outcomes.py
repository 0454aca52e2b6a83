"""How a trial can end, and the sentence a person reads about it.

A trial ends once, with one `Outcome` and the numbers behind it. The numbers are plain data, so that they fit on one
line of `trials.jsonl`; `describe` turns them into words and leaves out what it was not told.
"""

import math
from collections.abc import Mapping
from enum import StrEnum

EPOCH, OUTCOME = "epoch", "outcome"
"""What a trial's results call its finished epochs (1 after the first) and, in its last one, what ended it."""

Numbers = Mapping[str, float | str]


class Outcome(StrEnum):
    """What ended a trial."""

    COMPLETED = "completed"
    """Trained to the planned budget."""
    STOPPED_AT_RUNG = "stopped_at_rung"
    """Worse than the cutoff of a rung; its value is real, but measured at an early epoch."""
    DIVERGED = "diverged"
    """A loss, a gradient or the objective was not finite."""
    OUT_OF_MEMORY = "out_of_memory"
    EXPERTS_COLLAPSED = "experts_collapsed"
    PLATEAUED = "plateaued"
    """No progress for so long that the rest of the budget was saved."""
    FAILED = "failed"
    """An error that says nothing about the configuration."""
    INTERRUPTED = "interrupted"
    """The search ended first; a resumed search goes on with it."""

    @property
    def counts_as_bad(self) -> bool:
        """The configuration is to blame: the proposer should avoid its neighbourhood."""
        return self in (Outcome.DIVERGED, Outcome.OUT_OF_MEMORY, Outcome.EXPERTS_COLLAPSED)

    @property
    def may_win(self) -> bool:
        """The trial's measured values stand beside those of other trials."""
        return not self.counts_as_bad and self is not Outcome.FAILED


def outcome_of(last_result: Mapping | None, *, objective: str, max_epochs: int) -> Outcome:
    """What ended a trial that Ray reports as over without an error, from its last (flat) result.

    A trainable that ends itself says why under `outcome`. Without that word the trial was ended from outside: before
    it was ever measured, at its full length, or by the scheduler.
    """
    if not last_result or objective not in last_result:
        return Outcome.INTERRUPTED
    at_full_length = last_result[EPOCH] >= max_epochs
    from_outside = Outcome.COMPLETED if at_full_length else Outcome.STOPPED_AT_RUNG
    outcome = Outcome(last_result.get(OUTCOME, from_outside))
    return Outcome.DIVERGED if outcome.may_win and not math.isfinite(last_result[objective]) else outcome


def measured(result: Mapping) -> dict[str, float]:
    """The metrics in a flat result: nothing of Ray's own counters and clocks."""
    return {name: value for name, value in result.items() if "/" in name and isinstance(value, float)}


def describe(outcome: Outcome, numbers: Numbers) -> str:
    """Such as `stopped at rung 2 (epoch 6): 0.612 misses the cutoff 0.655, rank 7 of 9`.

    A clause is said when all its numbers are known; the first one needs none.
    """
    return "".join(
        clause.format_map(_readable(numbers)) for clause, names in _CLAUSES[outcome] if names <= set(numbers)
    )


def _clauses(*texts: str) -> tuple[tuple[str, frozenset[str]], ...]:
    return tuple((text, frozenset(part.split("}")[0] for part in text.split("{")[1:])) for text in texts)


def _readable(numbers: Numbers) -> dict[str, str]:
    return {name: _in_words(name, value) for name, value in numbers.items()}


def _in_words(name: str, value: float | str) -> str:
    if isinstance(value, str):
        return value
    if not name.endswith("_bytes"):
        return f"{value:.4g}"
    return f"{value / 2**30:.4g} GiB" if value >= 2**30 else f"{value / 2**20:.4g} MiB"


_CLAUSES = {
    Outcome.COMPLETED: _clauses("completed", " {epoch} epochs", " with {objective}"),
    Outcome.STOPPED_AT_RUNG: _clauses(
        "stopped",
        " at rung {rung}",
        " (epoch {epoch})",
        ": {value} misses the cutoff {cutoff}",
        ", rank {rank} of {of}",
        " of whom the forecast chooses one in {one_in}",
        ", never promoted: {expected} was expected of it",
        ", and the {short_of} had no room for it to wait",
    ),
    Outcome.DIVERGED: _clauses("diverged", " in epoch {epoch}", " at step {step}", ": {term} was {value}"),
    Outcome.OUT_OF_MEMORY: _clauses(
        "out of memory", " in epoch {epoch}", ": {error}", ": asked for {asked_bytes}", ", {available_bytes} available"
    ),
    Outcome.EXPERTS_COLLAPSED: _clauses(
        "experts collapsed",
        " in epoch {epoch}",
        ": layer {layer} sent nearly all to the same experts for {lost_epochs} epochs in a row",
        ", {usage} of it to expert {expert}",
    ),
    Outcome.PLATEAUED: _clauses(
        "plateaued",
        " at epoch {epoch}",
        ": nothing better than {best} of epoch {best_epoch}",
        ", with a patience of {patience_epochs}",
    ),
    Outcome.FAILED: _clauses("failed", " after epoch {epoch}", ": {error}"),
    Outcome.INTERRUPTED: _clauses("interrupted", " after epoch {epoch}"),
}
