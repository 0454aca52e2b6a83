"""Disk space: which checkpoints a search keeps, and when it must stop.

It keeps the checkpoints of trials that may continue or may be exported: the best, and with a confirmation all that it
compares or has compared. Those of other ended trials are removed when space runs out, the worst first.
"""

import math
import os
import re
import shutil
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from tuner import formatting
from tuner.records import SearchRecord, TrialRecord, read_runs
from tuner.records.checkpoints import trial_folder
from tuner.selection import in_search

RESERVE = 3
"""The disk must have room for this many of the largest checkpoint: two trials may write at once, and the records."""
_UNITS = {"K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def parse_size(text: str) -> int:
    """Bytes of a size such as `20G`; raises ValueError when it is malformed."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT])B?", text.strip().upper())
    size = float(match[1]) * _UNITS[match[2]] if match is not None else 0.0
    # Less than a byte would be recorded as none, which no reader takes.
    if not 1 <= size < math.inf:
        raise ValueError(f"--disk-budget is {text!r}; give a number above 0 with K, M, G or T, such as 20G.")
    return int(size)


def folder_bytes(folder: Path) -> int:
    """Total size of the files in a folder; 0 without a folder. A file that is removed meanwhile counts as 0."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            # A running search may just have replaced it.
            with suppress(FileNotFoundError):
                total += Path(place, name).stat().st_size
    return total


class CheckpointBudget:
    """Keeps the checkpoints of one search within its disk budget."""

    def __init__(self, folder: Path, search: SearchRecord) -> None:
        self._folder, self._search = folder, search
        budget = search.settings.disk_budget_bytes
        self._limit_bytes = math.inf if budget is None else budget
        # Several seeds may have chosen one that later trials have left behind on the search's own.
        self._confirmed = {run.trial for run in read_runs(folder)}
        self._sizes: dict[str, int] = {}
        self._total = self._largest = 0
        for trial in search.trials:
            self.update(trial)

    def update(self, trial: TrialRecord) -> None:
        """Measures the trial's latest checkpoint; over budget, removes those of ended trials."""
        self._measure(trial)
        for ended in _dispensable(self._search, kept=self.needed) if self.is_over_budget else ():
            if not self.is_over_budget:
                return
            if self._sizes.get(ended.name):
                shutil.rmtree(trial_folder(self._folder, ended.name), ignore_errors=True)
                self._measure(ended)

    @property
    def is_over_budget(self) -> bool:
        return self._total > self._limit_bytes

    @property
    def needed(self) -> set[str]:
        """Trials whose checkpoints are kept after they end."""
        return {trial.name for trial in exportable_trials(self._search)} | self._confirmed

    def shortage(self) -> str | None:
        """Sentence on why the search can't continue; None while there is space."""
        if self.is_over_budget:
            return (
                f"The checkpoints of the best and the unfinished trials take {_in_words(self._total)}, more than "
                f"--disk-budget {_in_words(self._limit_bytes)}."
            )
        free = shutil.disk_usage(self._folder).free
        if free < RESERVE * self._largest:
            folder, largest = formatting.path(self._folder), _in_words(self._largest)
            return f"The disk of {folder} has {_in_words(free)} left, and a checkpoint takes {largest}."
        return None

    def _measure(self, trial: TrialRecord) -> None:
        size = folder_bytes(trial_folder(self._folder, trial.name))
        self._total += size - self._sizes.get(trial.name, 0)
        self._sizes[trial.name] = size
        self._largest = max(self._largest, size)


def _dispensable(search: SearchRecord, *, kept: Collection[str]) -> list[TrialRecord]:
    """The other ended trials, the worst first; an unmeasured one is the worst."""
    ended = [trial for trial in search.trials if trial.outcome is not None and trial.name not in kept]

    def goodness(trial: TrialRecord) -> tuple[float, float]:
        length = math.inf if trial.keeps_last_value else trial.last_epoch
        return length, search.settings.sign * trial.last.objective if trial.last else 0.0

    return sorted(ended, key=goodness)


def exportable_trials(search: SearchRecord) -> list[TrialRecord]:
    """Trials that may be exported: with a confirmation all that it compares, else the best on one seed."""
    num_confirmed = search.settings.confirm
    if num_confirmed:
        return in_search.best_beside_default(search, num_confirmed)
    return [] if search.leader is None else [search.leader]


def _in_words(num_bytes: float) -> str:
    unit = next((unit for unit in "TGM" if num_bytes >= _UNITS[unit]), "K")
    return f"{num_bytes / _UNITS[unit]:.3g} {unit}B"
