"""Questions to the search's own results, on its one seed and the validation split: a trial beside the default, the
epoch of its weights, the time of a full training. Pure functions of a `SearchRecord`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainable.techniques.best_epoch import BestEpochConfig, resolve_monitor
from tuner.records import SearchRecord, TrialRecord
from tuner.records.events import EpochDone


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A trial and the default configuration, measured at the same epoch."""

    trial: TrialRecord
    default: TrialRecord
    epoch: int
    value: float
    default_value: float
    gain: float
    """Gain of the trial over the default, in the direction of the objective; negative is worse."""


def compare_best_so_far(search: SearchRecord) -> Comparison | None:
    """The best trial compared with the default; None if the default has no value.

    While the default is unfinished, trials are compared at its last epoch: the only trial that got further is not the
    best for that reason.
    """
    default = search.default_trial
    if default is None or default.outcome is not None:
        return compare_with_default(search, search.leader)
    ranked = search.rank(default.last_epoch)
    return compare_with_default(search, ranked[0] if ranked else None)


def compare_with_default(search: SearchRecord, trial: TrialRecord | None) -> Comparison | None:
    """Compares both at the highest epoch at which they have a value; None if there is none."""
    default = search.default_trial
    if trial is None or default is None:
        return None
    for epoch in sorted(trial.results.keys() | default.results.keys(), reverse=True):
        gain = gain_over_default(search, trial, epoch)
        if gain is not None:
            value, beside = (one.measured(epoch).objective for one in (trial, default))
            return Comparison(trial=trial, default=default, epoch=epoch, value=value, default_value=beside, gain=gain)
    return None


def best_beside_default(search: SearchRecord, top: int) -> list[TrialRecord]:
    """The default, then the best others at the comparison epoch; empty before the first value."""
    epoch, default = search.comparison_epoch, search.default_trial
    best = [] if epoch is None else [trial for trial in search.rank(epoch) if trial is not default][:top]
    return best if default is None or epoch is None else [default, *best]


def gain_over_default(search: SearchRecord, trial: TrialRecord, epoch: int) -> float | None:
    """Gain over the default at the same epoch; None if one of them has no value."""
    default = search.default_trial
    value, beside = trial.objective_at(epoch), None if default is None else default.objective_at(epoch)
    return None if value is None or beside is None else search.settings.sign * (value - beside)


def best_epoch(search: SearchRecord, trial: TrialRecord) -> int | None:
    """The epoch of the trial's best value; ties go to the earlier."""
    sign = search.settings.sign
    return max(sorted(trial.results), key=lambda epoch: sign * trial.results[epoch].objective, default=None)


def exported_result(search: SearchRecord, trial: TrialRecord) -> EpochDone:
    """The epoch whose weights are exported: the best by the monitored metric, or the last where none is kept.

    Raises:
        LookupError: the trial has no result.
    """
    settings = search.settings
    section: Mapping[str, Any] | None = settings.base_config.get("best_epoch")
    if not trial.params.get("best_epoch", section is not None):
        return trial.last_result
    fields = {name: trial.params.get(name, (section or {}).get(name)) for name in ("monitor", "monitor_mode")}
    monitor = resolve_monitor(BestEpochConfig(**fields), objective=settings.objective, mode=settings.mode)
    sign = 1.0 if monitor.mode == "max" else -1.0

    def rank(result: EpochDone) -> float:
        value = result.metrics.get(monitor.name)
        return -math.inf if value is None else sign * value

    return max((trial.results[epoch] for epoch in sorted(trial.results)), key=rank, default=trial.last_result)


def full_seconds(search: SearchRecord, trial: TrialRecord) -> float:
    """Seconds of a full training, from the trial's epochs in the search; without a result, from all trials' epochs."""
    seen = [trial] if trial.results else search.trials
    seconds = [result.seconds for one in seen for result in one.results.values()]
    return search.settings.max_epochs * math.fsum(seconds) / len(seconds)
