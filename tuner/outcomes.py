"""How a trial can end, and the sentence a person reads about it.

A trial ends once, with one `Outcome` and the numbers behind it. The numbers are plain data, so that they fit on one
line of `trials.jsonl`; `describe` turns them into words and leaves out what it was not told.
"""

import math
from collections.abc import Mapping
from enum import StrEnum

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


def outcome_of(last_result: Mapping | None, *, objective: str) -> Outcome:
    """What ended a trial that Ray reports as over without an error, from its last (flat) result.

    A trainable that ends itself says why under `outcome`. Without that word it was ended from outside: by the
    scheduler, at a rung or at a value that is not finite, or (no result at all) before it ever ran.
    """
    if not last_result or objective not in last_result:
        return Outcome.INTERRUPTED
    if "outcome" in last_result:
        return Outcome(last_result["outcome"])
    return Outcome.STOPPED_AT_RUNG if math.isfinite(last_result[objective]) else Outcome.DIVERGED


def describe(outcome: Outcome, numbers: Numbers) -> str:
    """One sentence without a full stop, such as `stopped at rung 2 (epoch 6): 0.612 misses the cutoff 0.655, rank 7 of 9`.

    A clause is said when all its numbers are known; the first one needs none.
    """
    return "".join(
        clause.format_map(_readable(numbers)) for clause, names in _CLAUSES[outcome] if names <= set(numbers)
    )


def _clauses(*texts: str) -> tuple[tuple[str, frozenset[str]], ...]:
    return tuple((text, frozenset(part.split("}")[0] for part in text.split("{")[1:])) for text in texts)


def _readable(numbers: Numbers) -> dict[str, str]:
    return {name: value if isinstance(value, str) else f"{value:.4g}" for name, value in numbers.items()}


_CLAUSES = {
    Outcome.COMPLETED: _clauses("completed", " {epoch} epochs", " with {objective}"),
    Outcome.STOPPED_AT_RUNG: _clauses(
        "stopped at",
        " rung {rung}",
        " (epoch {epoch})",
        ": {value} misses the cutoff {cutoff}",
        ", rank {rank} of {of}",
    ),
    Outcome.DIVERGED: _clauses("diverged", " in epoch {epoch}", " at step {step}", ": {term} was {value}"),
    Outcome.OUT_OF_MEMORY: _clauses("out of memory", " in epoch {epoch}", " after {peak_gib} GiB", ": {error}"),
    Outcome.EXPERTS_COLLAPSED: _clauses(
        "experts collapsed", " in epoch {epoch}", ": expert {expert}", " of layer {layer}", " was used {usage}"
    ),
    Outcome.PLATEAUED: _clauses("plateaued", " at epoch {epoch}", ": no progress for {patience_epochs} epochs"),
    Outcome.FAILED: _clauses("failed", " in epoch {epoch}", ": {error}"),
    Outcome.INTERRUPTED: _clauses("interrupted", " after epoch {epoch}"),
}
