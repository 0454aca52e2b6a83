"""What ended a training that ended itself."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Why there is no next epoch."""

    outcome: str
    """completed, plateaued or experts_collapsed."""
    numbers: dict[str, float] = field(default_factory=dict)
    """What it rests on, by name."""
