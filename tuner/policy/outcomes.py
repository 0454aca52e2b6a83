"""How a trial can end, and the sentence that describes it.

A trial ends once, with one `Outcome` and the numbers behind it. The numbers are plain data that fit on one line of
`trials.jsonl`; `describe` turns them into a sentence and omits missing ones.
"""

from collections.abc import Mapping
from enum import StrEnum
from string import Formatter
from typing import NamedTuple

from tuner import formatting

Numbers = Mapping[str, float | str]


class Outcome(StrEnum):
    """Why a trial ended."""

    COMPLETED = "completed"
    """Trained to the planned budget, or as long as a loop of the user's own wanted."""
    STOPPED_AT_RUNG = "stopped_at_rung"
    """Below the cutoff of a rung, or not promoted; its value is from an early epoch."""
    DIVERGED = "diverged"
    """A loss, a gradient or the objective was not finite."""
    OUT_OF_MEMORY = "out_of_memory"
    OVER_LIMIT = "over_limit"
    """The network breaks a limit of the user's; it was not trained."""
    EXPERTS_COLLAPSED = "experts_collapsed"
    PLATEAUED = "plateaued"
    """No progress for so long that the rest of the budget was saved."""
    FAILED = "failed"
    """An error that says nothing about the configuration."""

    @property
    def counts_as_bad(self) -> bool:
        """Caused by the configuration: the sampler should avoid similar ones."""
        bad = (Outcome.DIVERGED, Outcome.OUT_OF_MEMORY, Outcome.OVER_LIMIT, Outcome.EXPERTS_COLLAPSED)
        return self in bad

    @property
    def keeps_last_value(self) -> bool:
        """Whether no epoch was left out by the search: the last value counts as that of a full training."""
        return self in (Outcome.COMPLETED, Outcome.PLATEAUED)

    @property
    def may_win(self) -> bool:
        """Whether the trial's values are compared with those of other trials."""
        return not self.counts_as_bad and self is not Outcome.FAILED


class TrialEnd(NamedTuple):
    """The outcome of a trial that ended itself, and the numbers behind it."""

    outcome: Outcome
    numbers: Numbers


_CLAUSES = {
    Outcome.COMPLETED: ("completed", " {counted_epoch}", " with {objective}"),
    Outcome.STOPPED_AT_RUNG: (
        "stopped",
        " at epoch {epoch}",
        " (rung {rung})",
        ": {value} misses the cutoff {cutoff}",
        ": not promoted (the rung keeps 1 in {one_in} by predicted final value, its own {predicted})",
        ", rank {rank} of {of}",
        "; no {short_of} space for its checkpoint",
    ),
    Outcome.DIVERGED: ("diverged", " in epoch {epoch}", " at step {step}", ": {term} was {value}"),
    Outcome.OUT_OF_MEMORY: (
        "out of memory",
        " in epoch {epoch}",
        ": {error}",
        ": asked for {asked_bytes}",
        ", {available_bytes} available",
    ),
    Outcome.OVER_LIMIT: ("over limit", ": {quantity} {measured}", ", limit {limit}"),
    Outcome.EXPERTS_COLLAPSED: (
        "experts collapsed",
        " in epoch {epoch}",
        ": layer {layer} sent nearly all tokens to the same experts for {counted_lost_epochs} in a row",
        ", {usage} of them to expert {expert}",
    ),
    Outcome.PLATEAUED: (
        "plateaued",
        " at epoch {epoch}",
        ": no improvement on {best} of epoch {best_epoch}",
        ", patience {patience_epochs}",
    ),
    Outcome.FAILED: ("failed", " after epoch {epoch}", ": {error}"),
}
_EPOCHS = ("epoch", "lost_epochs")
"""Numbers that a clause also counts: `counted_epoch` is `1 epoch`."""


def describe(outcome: Outcome, numbers: Numbers) -> str:
    """Such as `stopped at epoch 6 (rung 2): 0.612 misses the cutoff 0.655, rank 7 of 9`.

    A clause is included when all its numbers are known; the first one needs none.
    """
    words = {name: _in_words(name, value) for name, value in numbers.items()}
    words |= {f"counted_{name}": formatting.count(float(numbers[name]), "epoch") for name in _EPOCHS if name in numbers}
    return "".join(
        clause.format_map(words)
        for clause in _CLAUSES[outcome]
        if all(name in words for _, name, *_ in Formatter().parse(clause) if name)
    )


def _in_words(name: str, value: float | str) -> str:
    if isinstance(value, str):
        return value
    if not name.endswith("_bytes"):
        return f"{value:.4g}"
    return f"{value / 2**30:.4g} GiB" if value >= 2**30 else f"{value / 2**20:.4g} MiB"
