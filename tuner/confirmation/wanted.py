"""The trainings of a confirmation: the default and the best on the first seeds, then the undecided pair on more."""

from collections.abc import Collection, Sequence
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING

from tuner import formatting
from tuner.records import ConfirmSeeds, SearchRecord, TrialRecord
from tuner.records.lock import is_in_use
from tuner.selection import in_search
from tuner.selection.comparison import confirmed_runs
from tuner.selection.selected_trial import select_trial

if TYPE_CHECKING:
    from tuner.budget.time_left import TimeLeft

FIRST_SEED = 1000
"""Seeds of the confirmation start here; the search's own seed is skipped."""
Training = tuple[TrialRecord, int]
"""A trial, and the seed to train it on."""


def candidates(record: SearchRecord, top: int) -> list[TrialRecord]:
    """The default and the best others; raises ValueError when nothing was measured."""
    if record.leader is None:
        raise ValueError("No trial has a finite objective; there is nothing to confirm.")
    return in_search.best_beside_default(record, top)


def first_round(record: SearchRecord, top: int, num_seeds: int) -> list[Training]:
    """The default and all candidates, by seed; empty when there is nothing to compare."""
    chosen = candidates(record, top)
    if chosen == [record.default_trial]:
        return []
    return [(trial, seed) for seed in _seeds(record, num_seeds) for trial in chosen]


def next_trainings(folder: Path, record: SearchRecord, *, top: int, seeds: ConfirmSeeds) -> list[Training]:
    """Returns the next trainings: the rest of the first round, then one batch of pairs; empty when nothing is left.

    A pair is the exported trial and the default on a further seed, as long as that may decide. A batch has as many
    pairs as can train at once.
    """
    known = {(run.trial, run.seed) for run in confirmed_runs(folder, record)}
    first = first_round(record, top, seeds.first)
    missing = _without(first, known)
    if missing or not first:
        return missing
    selected, default = select_trial(folder, record), record.default_trial
    if selected is None or default is None or selected.on_test is None or not selected.is_undecided:
        return []
    if selected.on_test.is_contradicted:
        return []
    pairs = [_without([(default, seed), (selected.trial, seed)], known) for seed in _seeds(record, seeds.last)]
    batch = [pair for pair in pairs if pair][: max(1, record.settings.resources.concurrent // 2)]
    return [training for pair in batch for training in pair]


def num_further_seeds(record: SearchRecord, todo: Sequence[Training], seeds: ConfirmSeeds) -> int:
    """Number of seeds on which a pair may still be trained after these trainings."""
    asked = _seeds(record, seeds.last)
    return seeds.last - max(seeds.first, *(1 + asked.index(seed) for _, seed in todo))


def _seeds(record: SearchRecord, number: int) -> list[int]:
    return list(islice((seed for seed in count(FIRST_SEED) if seed != record.settings.seed), number))


def _without(trainings: list[Training], known: Collection[tuple[str, int]]) -> list[Training]:
    return [(trial, seed) for trial, seed in trainings if (trial.name, seed) not in known]


def is_over(folder: Path, search: SearchRecord) -> bool:
    """Whether nothing is left to train: every trial has ended, and the best are confirmed as asked."""
    top, seeds = search.settings.confirm, search.settings.confirm_seeds
    if search.is_unfinished or top == 0 or search.leader is None:
        return not search.is_unfinished
    return not next_trainings(folder, search, top=top, seeds=seeds)


def what_is_left(folder: Path, search: SearchRecord) -> str | None:
    """The first sentence about a search that ended early: what it did, what is left, and which command does it, or who
    does it elsewhere; None when nothing is left."""
    interrupted = interrupted_at(folder, search)
    resume = f"python -m tuner.search --resume {formatting.argument(formatting.path(folder))} does it"
    return None if interrupted is None else f"{interrupted}; {search.taken_over or resume}."


def interrupted_at(folder: Path, search: SearchRecord) -> str | None:
    """Describes where an interrupted search stopped and what is left, without its folder; None if nothing is left."""
    if is_over(folder, search):
        return None
    settings = search.settings
    ended = len(search.trials) - len(search.unfinished)
    left = []
    if search.is_unfinished:
        left.append(formatting.count(settings.num_trials - ended, "trial"))
    if settings.confirm:
        left.append("the confirmation" if not confirmed_runs(folder, search) else "the rest of the confirmation")
    seconds = _time_left(search) if search.is_unfinished else None
    about = "" if seconds is None else f", {seconds}"
    return (
        f"Interrupted: {ended} of {formatting.count(settings.num_trials, 'trial')} ended in "
        f"{formatting.duration(search.elapsed)}. Left: {' and '.join(left)}{about}"
    )


def _time_left(search: SearchRecord) -> "TimeLeft | None":
    # Brings in the policies, and with them scipy's optimizers: a quarter of a second.
    from tuner.budget.time_left import time_left

    return time_left(search)


def interruption(folder: Path, search: SearchRecord) -> str | None:
    """Like `what_is_left`, but also None while a process works on the folder."""
    return None if is_in_use(folder) else what_is_left(folder, search)
