"""Why a trial went on, waited or stopped at a rung."""

from dataclasses import dataclass

CONTINUE, STOP, KEEP, PAUSE, PROMOTE = "continue", "stop", "keep", "pause", "promote"
"""KEEP is the default trial, which would have stopped; PAUSE and PROMOTE are those of the promoting policy alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One decision with the numbers behind it."""

    epoch: int
    rung: int | None
    """1 is the lowest; None between rungs."""
    value: float | None
    cutoff: float | None
    """None where nothing was compared: for the first to arrive, and where a prediction decides."""
    rank: int | None
    """1 is the best of those that had arrived, this one included."""
    of: int
    action: str
    """One of the constants above."""
    predicted: float | None = None
    """Predicted objective at full length, where the policy predicts one."""
    to_epoch: int | None = None
    """Of a promotion past the next rung: how far."""
