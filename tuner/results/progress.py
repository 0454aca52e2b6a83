"""Progress of a search: the trials that run and wait, the epochs used, the endings.

Pure functions of a `SearchRecord`, for the terminal and the report.
"""

import math
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from tuner.policy.decision import PAUSE, PROMOTE
from tuner.policy.outcomes import Outcome
from tuner.records import SearchRecord, TrialRecord


def waiting(search: SearchRecord) -> list[TrialRecord]:
    """The trials that wait at a rung."""
    last = {decided.trial: decided.decision.action for decided in search.decisions}
    return [trial for trial in search.unfinished if last.get(trial.name) == PAUSE]


def running(search: SearchRecord) -> list[TrialRecord]:
    """The trials that are training, or that a resume continues first."""
    waits = {trial.name for trial in waiting(search)}
    return [trial for trial in search.unfinished if trial.name not in waits]


def ending_of(trial: TrialRecord) -> str:
    """Describes how the trial ended, without its numbers, such as `stopped at rung 1 (epoch 3)`."""
    if trial.outcome is None:
        return "unfinished"
    if trial.outcome is not Outcome.STOPPED_AT_RUNG:
        return trial.outcome.replace("_", " ")
    epoch = f"epoch {trial.last_epoch}"
    return f"stopped at rung {trial.numbers['rung']:g} ({epoch})" if "rung" in trial.numbers else f"stopped at {epoch}"


def count_endings(trials: Iterable[TrialRecord]) -> dict[str, int]:
    """Trials by ending: completed first, then stopped ones from the last rung to the first, unfinished last."""
    order = [*Outcome, None]
    ordered = sorted(trials, key=lambda trial: (order.index(trial.outcome), -trial.last_epoch))
    return dict(Counter(map(ending_of, ordered)))


def epochs_done(search: SearchRecord) -> int:
    return sum(len(trial.results) for trial in search.trials)


def precisions(search: SearchRecord) -> set[str]:
    """The number formats that trials were trained in."""
    return {r.precision for trial in search.trials for r in trial.results.values() if r.precision is not None}


def idle_gaps(search: SearchRecord) -> list[float]:
    """Seconds from a trial's last result to the first step of the next trial in the same process, for each change.

    If the next one was promoted later, they count from its promotion: before that there was nothing to do. Times are
    rounded, so the next one may seem to begin before that; it counts as 0.
    """
    promoted = {(d.trial, d.decision.epoch): d.time for d in search.decisions if d.decision.action == PROMOTE}
    lanes: dict[str, list[_Step]] = {}
    for trial in search.trials:
        for result in trial.results.values():
            if result.process is not None:
                begin = result.time - result.seconds
                due = promoted.get((trial.name, result.epoch - 1), -math.inf)
                lanes.setdefault(result.process, []).append(_Step(result.time, begin, due, trial.name))
    return [
        max(0.0, later.begin - max(earlier.end, later.due))
        for steps in lanes.values()
        for earlier, later in pairwise(sorted(steps))
        if earlier.trial != later.trial
    ]


class _Step(NamedTuple):
    """One epoch of a trial, in seconds since the search started; `due` is when it was promoted, else -inf."""

    end: float
    begin: float
    due: float
    trial: str
