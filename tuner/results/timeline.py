"""Who trained when: the stretches that each slot of a search was busy, and what the time was spent on."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tuner import formatting
from tuner.records import SearchRecord
from tuner.records.confirmed_runs import ConfirmedRun
from tuner.records.events import EpochDone, Finished
from tuner.results.progress import idle_gaps

OVERLAP_SECONDS = 0.05
"""Two processes may overlap by so much in one slot: times are rounded, and the new one starts as the old one ends."""


class Stretch(NamedTuple):
    """Epochs that one trial trained one after another in one slot."""

    trial: str
    slot: int
    """Number from 1."""
    begin: float
    """Seconds since the search started."""
    end: float
    first_epoch: int
    last_epoch: int


def stretches(search: SearchRecord) -> list[Stretch]:
    """Stretches by slot, then time. A slot is a process and those that replaced it; without one on record, a trial."""
    done = [result for trial in search.trials for result in trial.results.values()]
    by_worker: dict[str, list[EpochDone]] = {}
    for result in sorted(done, key=_begin):
        by_worker.setdefault(result.process or result.trial, []).append(result)
    slots = _slots(by_worker)
    found = [
        Stretch(epochs[0].trial, slots[worker], _begin(epochs[0]), epochs[-1].time, epochs[0].epoch, epochs[-1].epoch)
        for worker, all_epochs in by_worker.items()
        for epochs in _runs(all_epochs)
    ]
    return sorted(found, key=lambda stretch: (stretch.slot, stretch.begin))


def busy_share(search: SearchRecord) -> float | None:
    """The share of the slots' time in which an epoch ran; None before the first epoch."""
    seconds = sum(result.seconds for trial in search.trials for result in trial.results.values())
    available = search.search_seconds * search.settings.resources.concurrent
    return min(1.0, seconds / available) if seconds and available else None


def parts_of_time(search: SearchRecord, confirmed: Sequence[ConfirmedRun]) -> dict[str, float]:
    """Seconds of each part of the time, as means over the slots; only known parts that took time.

    All but the confirmation add up to the run time of the sessions. An epoch whose validation was not timed counts as
    training.
    """
    slots = search.settings.resources.concurrent
    epochs = [result for trial in search.trials for result in trial.results.values()]
    validation = math.fsum(result.validation_seconds or 0.0 for result in epochs)
    parts = {
        "training": math.fsum(result.seconds for result in epochs) - validation,
        "validation": validation,
        "between trials": math.fsum(idle_gaps(search)),
    }
    waiting = search.search_seconds * slots - math.fsum(parts.values())
    parts |= {"waiting": waiting, "confirmation": math.fsum(run.seconds or 0.0 for run in confirmed)}
    return {name: seconds / slots for name, seconds in parts.items() if seconds > 0}


def time_in_words(search: SearchRecord, confirmation_seconds: float) -> str:
    """Formats times, such as `5:19 min: 2:55 search, 2:23 confirmation and report; 6:15 were left of --for ...`.

    Args:
        confirmation_seconds: the mean over the slots, which counts where the confirmation ran by itself.
    """
    in_search = search.search_seconds
    ends = [event.time for event in search.events[-1:] if isinstance(event, Finished)]
    after, what = (ends[-1] - in_search if ends else 0.0), "confirmation and report"
    if after < confirmation_seconds:
        after, what = confirmation_seconds, "confirmation"
    elif not confirmation_seconds:
        what = "report"
    total = in_search + after
    words = formatting.duration_with_unit(total)
    if round(after):
        words += f": {formatting.duration(in_search)} search, {formatting.duration(after)} {what}"
    stated, left = search.settings.stated_seconds, search.settings.duration_seconds
    if left is None:
        return words
    given = "--for" if stated is None else f"--for {formatting.duration(stated)}"
    return f"{words}; {formatting.duration(left)} were left of {given} when it started"


def _begin(result: EpochDone) -> float:
    return result.time - result.seconds


def _slots(by_worker: dict[str, list[EpochDone]]) -> dict[str, int]:
    """The lowest slot that is free when a worker begins."""
    slots: dict[str, int] = {}
    free_from: list[float] = []
    for worker, epochs in sorted(by_worker.items(), key=lambda item: (_begin(item[1][0]), item[0])):
        begin, end = _begin(epochs[0]), max(epoch.time for epoch in epochs)
        free = (slot for slot, time in enumerate(free_from) if time <= begin + OVERLAP_SECONDS)
        slot = next(free, len(free_from))
        free_from[slot : slot + 1] = [end]
        slots[worker] = slot + 1
    return slots


def _runs(epochs: Iterable[EpochDone]) -> list[list[EpochDone]]:
    """Groups epochs of one trial without a pause of half an epoch between them."""
    runs: list[list[EpochDone]] = []
    for result in epochs:
        last = runs[-1][-1] if runs else None
        follows = last is not None and (last.trial, last.epoch + 1) == (result.trial, result.epoch)
        if last is not None and follows and _begin(result) - last.time < max(1.0, result.seconds / 2):
            runs[-1].append(result)
        else:
            runs.append([result])
    return runs
