"""Why a trial continued, waited or stopped at a rung."""

from dataclasses import dataclass

CONTINUE, STOP, KEEP, PAUSE, PROMOTE = "continue", "stop", "keep", "pause", "promote"
"""KEEP: the default trial would have been stopped; PAUSE and PROMOTE occur only in the promoting policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One decision with the numbers behind it."""

    epoch: int
    rung: int | None
    """1 is the lowest rung; None between rungs."""
    value: float | None
    cutoff: float | None
    """None for the first trial at a rung, and where a prediction decides."""
    rank: int | None
    """1 is the best of the trials that had reached the rung, this one included."""
    of: int
    """Number of those trials."""
    action: str
    """One of the constants above."""
    predicted: float | None = None
    """Predicted objective at full length, where the policy predicts one."""
    to_epoch: int | None = None
    """Target epoch of a promotion past the next rung."""
