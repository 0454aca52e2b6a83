"""Compares the confirmed configurations with the default on data that the search never saw.

What: both are trained on the same seeds and scored on the test split. The mean of the per-seed differences is given
with its 95 % interval, which holds whenever the confirmation ends (`sequential`); only an interval that excludes zero
tells the two apart. Cost: none, it reads `confirm.jsonl`. Off: without that file nothing is claimed.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
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
    failed: frozenset[int] = frozenset()
    """Seeds whose training diverged, ran out of memory, or has no finite value on the test split."""
    default_failed: frozenset[int] = frozenset()
    num_candidates: int = 1
    """Number of trials retrained with the default; the interval widens with the choice."""

    @property
    def seeds(self) -> set[int]:
        """Seeds that both were trained on."""
        return {*self.values, *self.failed} & {*self.default_values, *self.default_failed}

    @property
    def gains(self) -> list[float]:
        """Gain over the default for each seed that both have; negative is worse."""
        sign = 1.0 if self.higher_is_better else -1.0
        seeds = sorted(self.values.keys() & self.default_values.keys())
        return [sign * (self.values[seed] - self.default_values[seed]) for seed in seeds]

    @property
    def mean_gain(self) -> float:
        """Difference of the two means over shared seeds: exactly 0 for equal means, unlike the mean of the gains."""
        seeds = self.values.keys() & self.default_values.keys()
        own, default = (_mean([values[seed] for seed in seeds]) for values in (self.values, self.default_values))
        return own - default if self.higher_is_better else default - own

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % confidence interval of the mean gain, over all looks; None for fewer than three seeds."""
        return sequential.interval(self.gains, self.num_candidates)

    @property
    def is_distinguishable(self) -> bool:
        """Whether the interval excludes zero, and no training that failed speaks against that."""
        is_apart = self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)
        return is_apart and not self.is_contradicted

    @property
    def is_contradicted(self) -> bool:
        """Whether the better one failed on a seed that the other finished, which no mean of the rest can outweigh."""
        gains, own, other = self.gains, self.failed & self.seeds, self.default_failed & self.seeds
        return bool(gains) and bool(own - other if self.mean_gain > 0 else other - own)

    @property
    def failures(self) -> str:
        """Describes failures, such as `trial 007-1a2b3c4d failed on 2 of 6 seeds`; empty without any."""
        sides = ((f"trial {self.trial}", self.failed), ("the default", self.default_failed))
        seeds = formatting.count(len(self.seeds), "seed")
        return ", ".join(
            f"{name} failed on {len(own & self.seeds)} of {seeds}" for name, own in sides if own & self.seeds
        )

    @property
    def sentence(self) -> str:
        """The claim that the seeds support."""
        gains, name = self.gains, f"trial {self.trial}"
        failures = f"; {self.failures}" if self.failures else ""
        if not gains:
            return f"On the test split, {name} and the default have no seed in common with a finite value{failures}."
        claim = f"On the test split, {name} is {formatting.gain(self.mean_gain)} than the default"
        if self.interval is None:
            return f"{claim} on {formatting.count(len(gains), 'seed')}, too few for a confidence interval{failures}."
        low, high = map(formatting.difference, self.interval)
        evidence = (
            f"mean of {formatting.count(len(gains), 'seed')}, better on {sum(gain > 0 for gain in gains)}, 95 % "
            f"interval of the paired gain {low} to {high}"
        )
        doubt = "" if self.is_distinguishable or self.is_contradicted else ", but this may be chance"
        return f"{claim}{doubt} ({evidence}){failures}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The configuration to export: of the retrained ones that failed least, the one with the best mean."""

    trial: TrialRecord
    mean: float
    """Mean on the validation split, over the seeds that all share and that it did not fail on."""
    num_seeds: int
    others: dict[str, float]
    """Means of the others by trial name, the default first; NaN where all their trainings failed."""
    wins: dict[str, int]
    """Number of seeds on which it beats each of the others."""
    failed: dict[str, int]
    """Number of seeds on which each diverged or ran out of memory, by trial name."""

    @property
    def sentence(self) -> str:
        """Sentence such as `Trial 029-7682ec2b is exported: ... It beats the default (0.841) on 3 of 3 seeds.`"""
        seeds = formatting.count(self.num_seeds, "seed")
        beside = ", ".join(
            f"{'the default' if number_of(trial) == 0 else f'trial {trial}'} ({self.mean_in_words(trial)}) on "
            f"{self.wins[trial]} of {seeds}"
            for trial in self.others
        )
        name = f"Trial {self.trial.name}" + (" (the default)" if self.trial.number == 0 else "")
        return (
            f"{name} is exported: the best on the validation split after training on {seeds}, "
            f"mean {self.mean_in_words(self.trial.name)}. It beats {beside}."
        )

    def mean_in_words(self, trial: str) -> str:
        """Formats the mean of one trial: `0.910`, or `0.910, failed on 1`."""
        mean = self.mean if trial == self.trial.name else self.others[trial]
        known = [formatting.number(mean)] if math.isfinite(mean) else []
        return ", ".join([*known, *([f"failed on {self.failed[trial]}"] if self.failed[trial] else [])])


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

    A configuration that diverged or ran out of memory on more of the seeds than another ranks behind it. None until two
    configurations share two seeds, and where every training failed.
    """
    # Early versions did not record the value on the validation split.
    runs = [run for run in confirmed_runs(folder, search) if run.validation is not None or run.objective is None]
    by_trial = _by_trial(runs, lambda run: math.nan if run.validation is None else run.validation)
    seeds = set.intersection(*(set(values) for values in by_trial.values())) if by_trial else set()
    finite = {
        trial: [values[seed] for seed in seeds if math.isfinite(values[seed])] for trial, values in by_trial.items()
    }
    if len(finite) < 2 or len(seeds) < 2 or not any(finite.values()):
        return None
    sign = search.settings.sign
    failed = {trial: len(seeds) - len(values) for trial, values in finite.items()}
    means = {trial: _mean(values) if values else math.nan for trial, values in finite.items()}
    best = max(means, key=lambda trial: (-failed[trial], sign * means[trial]))
    others = [trial for trial in means if trial != best]
    return Choice(
        trial=search.by_name[best],
        mean=means[best],
        num_seeds=len(seeds),
        others={trial: means[trial] for trial in others},
        wins={
            trial: sum(_beats(by_trial[best][seed], by_trial[trial][seed], sign=sign) for seed in seeds)
            for trial in others
        },
        failed=failed,
    )


def _mean(values: Sequence[float]) -> float:
    """Mean, rounded to twelve digits, since the last digits depend on the order of the values."""
    return float(f"{statistics.fmean(values):.12g}")


def _beats(value: float, other: float, *, sign: float) -> bool:
    """Whether a value is better than the other; NaN is worse than any."""
    return math.isfinite(value) and not sign * (value - other) <= 0


def read_confirmations(folder: Path, search: SearchRecord) -> list[Confirmation]:
    """The confirmed configurations of a results folder, by trial number.

    Raises:
        ValueError: the file is damaged, or names a trial that the search does not have.
    """
    runs = [run for run in confirmed_runs(folder, search) if not _is_unscored(run, search.settings.metric)]
    by_trial = _by_trial(runs, lambda run: run.objective)
    default = {} if search.default_trial is None else by_trial.pop(search.default_trial.name, {})
    return [
        Confirmation(
            trial=trial,
            values=_finite(values),
            default_values=_finite(default),
            higher_is_better=search.settings.mode == "max",
            failed=frozenset(values.keys() - _finite(values).keys()),
            default_failed=frozenset(default.keys() - _finite(default).keys()),
            num_candidates=len(by_trial),
        )
        for trial, values in by_trial.items()
        if _finite(values) or _finite(default)
    ]


def _is_unscored(run: ConfirmedRun, metric: str) -> bool:
    """Whether a user's own loop ended well, but returned no such value on the test split."""
    return run.objective is None and run.validation is not None and metric not in run.test


def _finite(values: Mapping[int, float | None]) -> dict[int, float]:
    return {seed: value for seed, value in values.items() if value is not None}


def _by_trial(runs: Iterable[ConfirmedRun], value_of: Callable[[ConfirmedRun], Value]) -> dict[str, dict[int, Value]]:
    """A value of each training, by trial and seed, the trials by number."""
    found: dict[str, dict[int, Value]] = {}
    for run in sorted(runs, key=lambda run: run.number):
        found.setdefault(run.trial, {})[run.seed] = value_of(run)
    return found
