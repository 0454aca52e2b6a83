"""The trainings of a confirmation: the default and the best others, each on several seeds."""

from itertools import count, islice
from pathlib import Path

from tuner.confirm.comparison import confirmed_runs
from tuner.records import ConfirmedRun, SearchRecord, TrialRecord
from tuner.results import progress

NUM_BEST, NUM_SEEDS = 3, 3
FIRST_SEED = 1000
"""Seeds of the confirmation start here; the search's own seed is skipped."""


def candidates(record: SearchRecord, top: int) -> list[TrialRecord]:
    """The default and the best others; raises ValueError when nothing was measured."""
    if record.leader is None:
        raise ValueError("No trial has a finite objective; there is nothing to confirm.")
    return progress.best_beside_default(record, top)


def wanted_runs(record: SearchRecord, top: int, num_seeds: int = NUM_SEEDS) -> list[tuple[TrialRecord, int]]:
    """Trials and the seeds to train them on; empty when there is nothing to compare."""
    chosen = candidates(record, top)
    if chosen == [record.default_trial]:
        return []
    seeds = islice((seed for seed in count(FIRST_SEED) if seed != record.settings.seed), num_seeds)
    return [(trial, seed) for seed in seeds for trial in chosen]


def is_confirmed(folder: Path, record: SearchRecord, top: int) -> bool:
    """Whether every training of the confirmation is done."""
    wanted = {(trial.name, seed) for trial, seed in wanted_runs(record, top)}
    return wanted <= identified(confirmed_runs(folder, record))


def is_over(folder: Path, search: SearchRecord) -> bool:
    """Whether nothing is left to train: every trial has ended, and the best are confirmed as asked."""
    top = search.settings.confirm
    return not search.is_unfinished and (top == 0 or search.leader is None or is_confirmed(folder, search, top))


def identified(runs: list[ConfirmedRun]) -> set[tuple[str, int]]:
    return {(run.trial, run.seed) for run in runs}
