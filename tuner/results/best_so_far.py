"""The trials in the order in which they were measured at the epoch that compares them."""

from typing import NamedTuple

from tuner.records import SearchRecord, TrialRecord


class Measured(NamedTuple):
    trial: TrialRecord
    value: float
    """Objective at the comparison epoch, or where the trial plateaued."""
    time: float
    """Seconds since the search started."""
    epochs: int
    """Trained by all trials until then."""


def measured_in_order(search: SearchRecord) -> list[Measured]:
    """The trials in the order of their measurement; empty before the first value."""
    epoch = search.comparison_epoch
    if epoch is None:
        return []
    ends = sorted(result.time for trial in search.trials for result in trial.results.values())
    found = [(trial, trial.measured(epoch)) for trial in search.measured_at(epoch)]
    return [
        Measured(trial, result.objective, result.time, sum(end <= result.time for end in ends))
        for trial, result in sorted(found, key=lambda one: one[1].time)
    ]
