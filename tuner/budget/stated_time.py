"""The time that is stated for a search (`--for`): its text, and when a search closes to keep it.

What: a search closes when what is left of the time is needed for the full lengths that are still missing and for the
    confirmation, which may claim half of it at most; then no trial starts and none is promoted but those. Of the
    confirmation as many trials are trained as fit, and on fewer seeds where not even one fits. Everything is estimated
    from the recorded seconds of this search's epochs, not from the plan's estimate, so that a machine that has become
    busy buys fewer trials, not a late end.
Cost: none. Off: no stated time.
"""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from tuner.records import SearchRecord, TrialRecord
from tuner.results import progress
from tuner.selection import in_search

RESERVE = 0.05
"""Share of the stated time kept until the confirmation: for report, export and estimates that are too low."""
MOST_CONFIRMATION = 0.5
"""Largest share of the stated time: a confirmation needs a search worth confirming."""
_NUMBER = r"(\d+(?:\.\d+)?)"
# 1h30 may be meant as minutes or as seconds.
_TEXT = re.compile(rf"(?:{_NUMBER}h)?(?:{_NUMBER}m(?:in)?)?(?:{_NUMBER}s)?|{_NUMBER}")


def parse_duration(text: str) -> float:
    """Seconds of a time such as `30m`, `1h30m` or `5400`; raises ValueError when it is malformed or not above 0."""
    found = _TEXT.fullmatch(text.strip().lower())
    hours, minutes, seconds, number = (float(part or 0) for part in found.groups()) if found else (0.0,) * 4
    total = 3600 * hours + 60 * minutes + seconds + number
    if not 0 < total < math.inf:
        raise ValueError(f"--for is {text!r}; give a time above 0, such as 30m, 2h, 1h30m, or a number of seconds.")
    return total


def is_time_to_close(search: SearchRecord, elapsed: float) -> bool:
    """Whether the rest of the stated time is needed for what must still be trained."""
    duration, default = search.settings.duration_seconds, search.default_trial
    if duration is None or default is None or not _is_measured(search, default):
        return False
    confirmation = min(confirmation_seconds(search), MOST_CONFIRMATION * duration)
    return elapsed + _seconds_to_end(search, default) + confirmation > (1 - RESERVE) * duration


def _is_measured(search: SearchRecord, default: TrialRecord) -> bool:
    """Whether there are epochs to estimate from: the default's own, or any if it failed before its first."""
    return bool(default.results) or (default.outcome is not None and any(trial.results for trial in search.trials))


class ConfirmationSize(NamedTuple):
    """Number of trials and seeds of a confirmation."""

    top: int
    """Number of best trials; 0 is none."""
    num_seeds: int
    """Seeds of each in the first round."""


def affordable_confirmation(search: SearchRecord, elapsed: float) -> ConfirmationSize:
    """Reduces the planned confirmation to the time left: first fewer trials, then fewer seeds."""
    duration, planned, seeds = search.settings.duration_seconds, search.settings.confirm, search.settings.confirm_seeds
    if duration is None or not planned:
        return ConfirmationSize(planned, seeds.first)
    fewer = [ConfirmationSize(top, seeds.first) for top in range(planned, 0, -1)]
    fewer += [ConfirmationSize(1, number) for number in range(seeds.first - 1, 0, -1)]
    fits = (one for one in fewer if elapsed + confirmation_seconds(search, one.top, one.num_seeds) <= duration)
    return next(fits, ConfirmationSize(0, seeds.first))


def confirmation_seconds(search: SearchRecord, top: int | None = None, num_seeds: int | None = None) -> float:
    """Seconds to train the default and the `top` best others on `num_seeds` seeds; None is as many as planned."""
    top = search.settings.confirm if top is None else top
    num_seeds = search.settings.confirm_seeds.first if num_seeds is None else num_seeds
    if not top:
        return 0.0
    compared = in_search.best_beside_default(search, top)
    seconds = [in_search.full_seconds(search, trial) for trial in compared]
    mean = math.fsum(seconds) / len(seconds) if seconds else 0.0
    return math.ceil(num_seeds * (1 + top) / search.settings.resources.concurrent) * mean


def _seconds_to_end(search: SearchRecord, default: TrialRecord) -> float:
    """Seconds until running trials and one new one have paused, and the default and the finalists have full length."""
    settings = search.settings
    # Without promotions a trial may go on to its full length.
    rungs = settings.rung_epochs if settings.scheduler == "asha" else ()
    new = in_search.full_seconds(search, default) * next(iter(rungs), settings.max_epochs) / settings.max_epochs
    running = [_seconds_to_pause(search, trial, rungs) for trial in progress.running(search)]
    last = [] if default.outcome is not None else [_seconds_to_pause(search, default, ())]
    last += _seconds_of_finalists(search, default) if rungs else []
    return max([new, *running]) + math.ceil(len(last) / settings.resources.concurrent) * max(last, default=0.0)


def _seconds_of_finalists(search: SearchRecord, default: TrialRecord) -> list[float]:
    """Seconds that each finalist still needs: two from the first rung on; where a trial beside the default has its full
    length, only the one with the best last value."""
    settings = search.settings
    # A trial that was stopped does not come there.
    able = (trial for trial in search.trials if trial.outcome is None or trial.keeps_last_value)
    others = [trial for trial in able if trial is not default and trial.results]
    if any(trial.last_epoch >= settings.max_epochs for trial in others):
        best = max(others, key=lambda trial: settings.sign * trial.last_result.objective)
        return [] if best.outcome is not None else [_seconds_to_pause(search, best, ())]
    return 2 * [in_search.full_seconds(search, default) * (1 - settings.rung_epochs[0] / settings.max_epochs)]


def _seconds_to_pause(search: SearchRecord, trial: TrialRecord, rungs: Sequence[int]) -> float:
    """Seconds until the next of these epochs, or until the trial has its full length."""
    max_epochs = search.settings.max_epochs
    end = next((epoch for epoch in rungs if epoch > trial.last_epoch), max_epochs)
    return in_search.full_seconds(search, trial) * max(0, end - trial.last_epoch) / max_epochs
