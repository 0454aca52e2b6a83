"""Compares the confirmed configurations with the default on data that the search never saw.

What: both are trained on the same seeds and scored on the test split. The mean of the per-seed differences is given
with its 95 % interval, which holds whenever the confirmation ends (`sequential`); only an interval that excludes zero
tells the two apart. Cost: none, it reads `confirm.jsonl`. Off: without that file nothing is claimed.
"""

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tuner import formatting
from tuner.records import CONFIRM, ConfirmedRun, SearchRecord, TrialRecord, read_runs
from tuner.records.events import TRIALS
from tuner.records.trial_name import number_of
from tuner.selection import sequential

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """One configuration compared with the default."""

    trial: str
    """Name of its trial."""
    values: dict[int, float]
    """The objective on the test split, by seed."""
    default_values: dict[int, float]
    higher_is_better: bool

    @property
    def gains(self) -> list[float]:
        """Gain over the default for each seed that both have; negative is worse."""
        sign = 1.0 if self.higher_is_better else -1.0
        seeds = sorted(self.values.keys() & self.default_values.keys())
        return [sign * (self.values[seed] - self.default_values[seed]) for seed in seeds]

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % confidence interval of the mean gain, over all looks; None for fewer than three seeds."""
        return sequential.interval(self.gains)

    @property
    def is_distinguishable(self) -> bool:
        """Whether the interval excludes zero."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)

    @property
    def sentence(self) -> str:
        """The claim that the seeds support."""
        gains, name = self.gains, f"trial {self.trial}"
        if not gains:
            return f"On the test split, {name} and the default have no seed in common with a finite value."
        claim = f"On the test split, {name} is {formatting.gain(statistics.fmean(gains))} than the default"
        if self.interval is None:
            return f"{claim} on {formatting.count(len(gains), 'seed')}, too few for a confidence interval."
        low, high = map(formatting.difference, self.interval)
        evidence = (
            f"mean of {formatting.count(len(gains), 'seed')}, better on {sum(gain > 0 for gain in gains)}, 95 % "
            f"interval of the paired gain {low} to {high}"
        )
        doubt = "" if self.is_distinguishable else ", but this may be chance"
        return f"{claim}{doubt} ({evidence})."


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The configuration to export: of the retrained ones, the one with the best mean."""

    trial: TrialRecord
    mean: float
    """On the validation split, over the seeds that all of them share."""
    num_seeds: int
    others: dict[str, float]
    """Means of the others by trial name, the default first."""
    wins: dict[str, int]
    """On how many seeds it beats each of the others."""

    @property
    def sentence(self) -> str:
        """Such as `Trial 029-7682ec2b is exported: ... mean 0.910. It beats the default (0.841) on 3 of 3 seeds.`"""
        seeds = formatting.count(self.num_seeds, "seed")
        beside = ", ".join(
            f"{'the default' if number_of(trial) == 0 else f'trial {trial}'} ({formatting.number(mean)}) on "
            f"{self.wins[trial]} of {seeds}"
            for trial, mean in self.others.items()
        )
        name = f"Trial {self.trial.name}" + (" (the default)" if self.trial.number == 0 else "")
        return (
            f"{name} is exported: the best on the validation split after training on {seeds}, "
            f"mean {formatting.number(self.mean)}. It beats {beside}."
        )


def confirmed_runs(folder: Path, search: SearchRecord) -> list[ConfirmedRun]:
    """The finished trainings of the confirmation.

    Raises:
        ValueError: the file is damaged, or names a trial that the search does not have.
    """
    runs = read_runs(folder)
    for run in runs:
        if run.trial not in search.by_name:
            raise ValueError(
                f"{folder / CONFIRM} has trial {run.trial}, which {TRIALS} lacks: restore both from the same copy."
            )
    return runs


def choose(folder: Path, search: SearchRecord) -> Choice | None:
    """Chooses by the mean of several seeds: a search has one seed, and the best of many noisy values looks too good.

    None until two configurations share two seeds.
    """
    by_trial = _by_trial(folder, search, lambda run: math.nan if run.validation is None else run.validation)
    seeds = set.intersection(*(set(values) for values in by_trial.values())) if by_trial else set()
    means = {trial: statistics.fmean(values[seed] for seed in seeds) for trial, values in by_trial.items() if seeds}
    means = {trial: mean for trial, mean in means.items() if math.isfinite(mean)}
    if len(means) < 2 or len(seeds) < 2:
        return None
    sign = search.settings.sign
    best = max(means, key=lambda trial: sign * means[trial])
    others = [trial for trial in means if trial != best]
    return Choice(
        trial=search.by_name[best],
        mean=means[best],
        num_seeds=len(seeds),
        others={trial: means[trial] for trial in others},
        wins={
            trial: sum(sign * (by_trial[best][seed] - by_trial[trial][seed]) > 0 for seed in seeds) for trial in others
        },
    )


def read_confirmations(folder: Path, search: SearchRecord) -> list[Confirmation]:
    """The confirmed configurations of a results folder, by trial number.

    Raises:
        ValueError: the file is damaged, or names a trial that the search does not have.
    """
    measured = {
        trial: {seed: value for seed, value in values.items() if value is not None}
        for trial, values in _by_trial(folder, search, lambda run: run.objective).items()
    }
    default = {} if search.default_trial is None else measured.pop(search.default_trial.name, {})
    better = search.settings.mode == "max"
    return [
        Confirmation(trial=trial, values=values, default_values=default, higher_is_better=better)
        for trial, values in measured.items()
        if values
    ]


def _by_trial(
    folder: Path, search: SearchRecord, value_of: Callable[[ConfirmedRun], Value]
) -> dict[str, dict[int, Value]]:
    """A value of each training, by trial and seed, the trials by number."""
    found: dict[str, dict[int, Value]] = {}
    for run in sorted(confirmed_runs(folder, search), key=lambda run: run.number):
        found.setdefault(run.trial, {})[run.seed] = value_of(run)
    return found
