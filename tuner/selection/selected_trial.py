"""The one trial of a search that is exported. Every reader of a results folder shows this one."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tuner import formatting
from tuner.records import ConfirmedRun, SearchRecord, TrialRecord
from tuner.records.confirm_seeds import MOST_SEEDS
from tuner.selection import sequential
from tuner.selection.comparison import Choice, Confirmation, choose, confirmed_runs, read_confirmations
from tuner.selection.in_search import Comparison, compare_with_default, exported_result, full_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedTrial:
    """The trial that is exported, and the evidence for it."""

    trial: TrialRecord
    epoch: int
    """The epoch of its weights."""
    in_search: Comparison | None
    """Compared with the default on the search's one seed, on the validation split; None where one has no value."""
    choice: Choice | None
    """Choice by several seeds on the validation split; None while not confirmed."""
    on_test: Confirmation | None
    """Compared with the default on the test split; None for the default, and while it is not confirmed."""
    leader: TrialRecord
    """The best on the search's one seed: `trial` itself, or one that several seeds did not confirm."""
    pair_seconds: float
    """Seconds to train it and the default on one more seed."""
    num_failed: int = 0
    """Number of further seeds that it was trained on, where it failed on every one; else 0."""

    @property
    def is_confirmed(self) -> bool:
        """Whether several seeds chose it."""
        return self.choice is not None

    @property
    def is_undecided(self) -> bool:
        """Whether several seeds chose it, but cannot tell it from the default."""
        return self.is_confirmed and self.on_test is not None and not self.on_test.is_distinguishable

    @property
    def seeds_to_decide(self) -> tuple[int, int] | None:
        """The least and the most seeds, about, that would tell it from the default: the value of `--seeds`. None where
        that is decided or not confirmed, and where they are too many."""
        if self.choice is None or self.on_test is None or not self.is_undecided or self.on_test.is_contradicted:
            return None
        more = sequential.seeds_to_decide(self.on_test.gains, self.on_test.num_candidates)
        return None if more is None else (self.choice.num_seeds, len(self.on_test.seeds) + max(1, more))

    def to_decide(self, *, is_over: bool, is_running: bool) -> str | None:
        """Sentence on what it would take to tell the trial from the default; None if decided or not confirmed.

        Args:
            is_over: nothing is left to train.
            is_running: a process is at work on the search.
        """
        if self.on_test is None or not self.is_undecided:
            return None
        if is_running:
            return "Not decided yet: training is still running."
        if not is_over:
            return "Not decided yet: the search was interrupted."
        if self.on_test.is_contradicted:
            return f"No claim, however many seeds follow: {self.on_test.failures}."
        if len(self.on_test.gains) < 2:
            return "Not decided: a difference needs two seeds with a value of both."
        if self.seeds_to_decide is None:
            return f"More than {MOST_SEEDS} seeds would be needed to decide."
        least, most = self.seeds_to_decide
        more = most - len(self.on_test.seeds)
        takes = f"{formatting.count(more, 'more seed')} ({formatting.about(more * self.pair_seconds)})"
        return f"Undecided: about {takes} would settle it if the difference holds: --seeds {least}..{most}."

    def evidence(self, *, is_over: bool, is_running: bool) -> list[str]:
        """Sentences on the test split's evidence, on what `to_decide` misses, and the remark."""
        claim = None if self.on_test is None else self.on_test.sentence
        missing = self.to_decide(is_over=is_over, is_running=is_running)
        return [sentence for sentence in (claim, missing, self.remark) if sentence is not None]

    @property
    def remark(self) -> str | None:
        """Sentence on the leader, if another is exported or it failed on all further seeds."""
        if self.choice is None and self.num_failed:
            seeds = formatting.count(self.num_failed, "further seed")
            return f"Trial {self.trial.name} diverged or ran out of memory on {seeds}, each that it was trained on."
        if self.choice is None or self.leader is self.trial:
            return None
        name = "the default" if self.leader.number == 0 else f"trial {self.leader.name}"
        there = f"On the search's one seed, {name} was the best"
        if self.leader.name not in self.choice.others:
            return f"{there}; it was not trained on other seeds."
        seeds = formatting.count(self.choice.num_seeds, "seed")
        if math.isnan(self.choice.others[self.leader.name]):
            return f"{there}; it diverged or ran out of memory on each of {seeds}."
        mean, own = self.choice.mean_in_words(self.leader.name), self.choice.mean_in_words(self.trial.name)
        return f"{there}; its mean of {seeds} is {mean}, that of trial {self.trial.name} {own}."


def select_trial(folder: Path, search: SearchRecord) -> SelectedTrial | None:
    """The best on the validation split over several seeds; while nothing is confirmed, the best on the search's one.

    None while no trial has a value.

    Raises:
        ValueError: `confirm.jsonl` is damaged, or names a trial that the search does not have.
    """
    choice, leader = choose(folder, search), search.leader
    if leader is None:
        return None
    trial = leader if choice is None else choice.trial
    runs = confirmed_runs(folder, search)
    own = [run for run in runs if run.trial == trial.name]
    tested = [one for one in read_confirmations(folder, search) if one.trial == trial.name and one.values]
    both = (_training_seconds(search, one, runs) for one in (trial, search.default_trial or trial))
    return SelectedTrial(
        trial=trial,
        epoch=exported_result(search, trial).epoch,
        in_search=compare_with_default(search, trial),
        choice=choice,
        on_test=tested[0] if tested else None,
        leader=leader,
        pair_seconds=sum(both) / min(2, search.settings.resources.concurrent),
        num_failed=len(own) if all(run.objective is None and run.validation is None for run in own) else 0,
    )


def _training_seconds(search: SearchRecord, trial: TrialRecord, runs: Sequence[ConfirmedRun]) -> float:
    """Seconds of the trial on another seed: mean of its confirmed ones, with the final test, else as in the search."""
    taken = [run.seconds for run in runs if run.trial == trial.name and run.seconds is not None]
    return statistics.fmean(taken) if taken else full_seconds(search, trial)
