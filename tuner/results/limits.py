"""What was measured of the quantities that are limited."""

from trainable.leg import LIMIT_PREFIX
from tuner.policy.outcomes import Outcome
from tuner.records import TrialRecord


def measured_quantity(trial: TrialRecord, quantity: str) -> float | None:
    """What was measured of a trial's network; None where it was not, such as after another broken limit."""
    if trial.outcome is Outcome.OVER_LIMIT and trial.numbers.get("quantity") == quantity:
        return float(trial.numbers["measured"])
    values = (result.metrics.get(f"{LIMIT_PREFIX}{quantity}") for result in trial.results.values())
    return next((value for value in values if value is not None), None)
