"""What the confirmation of a search says: is a configuration better than the default on data the search never saw?

What: both are trained on the same seeds and judged on the test split; the differences are taken seed by seed, and their
mean is given with its 95 % interval. Only an interval that leaves out zero tells the two apart.
Source: Student, "The probable error of a mean", Biometrika 6, 1908, https://doi.org/10.2307/2331554: the paired t
interval. Cost: none, it reads `confirm.json`. Off: no such file, no claim.
"""

import json
import math
import statistics
from dataclasses import dataclass
from pathlib import Path

from scipy.special import stdtrit

from tuner import wording
from tuner.records import SearchRecord, TrialRecord

FILE = "confirm.json"
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmedRun:
    """One training to the full budget."""

    trial: int
    """Number of the trial whose configuration this is; 0 is the default."""
    trial_id: str
    """Which of that number: a search that was killed may have begun two."""
    seed: int
    objective: float | None
    """The search's objective, on the test split; None when the training diverged or ran out of memory."""
    test: dict[str, float | None]
    """Every metric on the test split."""
    validation: float | None = None
    """The objective on the validation split at the end; what may choose, as the test split may not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """One configuration beside the default."""

    trial: int
    values: dict[int, float]
    """The objective on the test split, by seed."""
    default_values: dict[int, float]
    higher_is_better: bool

    @property
    def gains(self) -> list[float]:
        """For each seed of both, how much better than the default: negative is worse."""
        sign = 1.0 if self.higher_is_better else -1.0
        seeds = sorted(self.values.keys() & self.default_values.keys())
        return [sign * (self.values[seed] - self.default_values[seed]) for seed in seeds]

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of the mean gain, at 95 % confidence; None for fewer than two seeds."""
        gains = self.gains
        if len(gains) < 2:
            return None
        quantile = float(stdtrit(len(gains) - 1, (1 + CONFIDENCE) / 2))
        half = quantile * statistics.stdev(gains) / math.sqrt(len(gains))
        return statistics.fmean(gains) - half, statistics.fmean(gains) + half

    @property
    def is_distinguishable(self) -> bool:
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)

    @property
    def sentence(self) -> str:
        """What may be claimed, and no more."""
        gains, name = self.gains, f"trial {self.trial}"
        if not gains:
            return f"On the test split, {name} and the default have no seed in common that gave a number."
        claim = f"On the test split, {name} is {wording.gain(statistics.fmean(gains))} than the default"
        if self.interval is None:
            return f"{claim} on one seed, which says nothing of chance."
        low, high = map(wording.difference, self.interval)
        evidence = f"mean of {len(gains)} seeds, 95 % interval of the paired gain {low} to {high}"
        doubt = "" if self.is_distinguishable else ", which cannot be told from chance"
        return f"{claim}{doubt} ({evidence})."


def read_runs(folder: Path, search: SearchRecord) -> list[ConfirmedRun]:
    """The trainings that `python -m tuner.confirm` has done; raises ValueError when the file is damaged.

    Where they tell no more of a trial than its number, as they once did, it is the last of that number.
    """
    path = folder / FILE
    if not path.exists():
        return []
    last = {trial.number: trial.name for trial in search.trials}
    try:
        runs = json.loads(path.read_text(encoding="utf-8"))["runs"]
        return [ConfirmedRun(**{"trial_id": last[run["trial"]]} | run) for run in runs]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error!r}): delete it and run tuner.confirm again") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is handed over: of the configurations that were trained again, the one with the best mean."""

    trial: TrialRecord
    mean: float
    """On the validation split, over the seeds that all of them were trained on."""
    num_seeds: int
    others: dict[int, float]
    """The means of the others, by number of trial."""
    wins: dict[int, int]
    """On how many of the seeds it is better than each of the others."""

    @property
    def sentence(self) -> str:
        beside = ", ".join(
            f"{wording.number(mean)} of {'the default' if number == 0 else f'trial {number}'} "
            f"(better on {self.wins[number]} of them)"
            for number, mean in sorted(self.others.items(), key=lambda item: item[0] != 0)
        )
        return (
            f"Trial {self.trial.number} is handed over: trained again on {self.num_seeds} seeds, it is the best on the "
            f"validation split, {wording.number(self.mean)} in the mean against {beside}."
        )


def choose(folder: Path, search: SearchRecord) -> Choice | None:
    """Chooses by several seeds: a search has one, and the best of many noisy values looks better than it is.

    None until two configurations were trained on two seeds in common.
    """
    by_trial: dict[str, dict[int, float]] = {}
    for run in read_runs(folder, search):
        value = math.nan if run.validation is None else run.validation
        by_trial.setdefault(run.trial_id, {})[run.seed] = value
    seeds = set.intersection(*(set(values) for values in by_trial.values())) if by_trial else set()
    means = {trial: statistics.fmean(values[seed] for seed in seeds) for trial, values in by_trial.items() if seeds}
    means = {trial: mean for trial, mean in means.items() if math.isfinite(mean)}
    if len(means) < 2 or len(seeds) < 2:
        return None
    sign = 1.0 if search.settings.mode == "max" else -1.0
    best = max(means, key=lambda trial: sign * means[trial])
    others = {search.by_id[trial].number: trial for trial in means if trial != best}
    gains = {
        n: [sign * (by_trial[best][seed] - by_trial[trial][seed]) for seed in seeds] for n, trial in others.items()
    }
    return Choice(
        trial=search.by_id[best],
        mean=means[best],
        num_seeds=len(seeds),
        others={number: means[trial] for number, trial in sorted(others.items())},
        wins={number: sum(gain > 0 for gain in seen) for number, seen in gains.items()},
    )


def read_confirmations(folder: Path, search: SearchRecord) -> list[Confirmation]:
    """Each configuration of a results folder that was confirmed beside the default, in the order of their numbers.

    Raises:
        ValueError: the file is damaged.
    """
    by_trial: dict[str, dict[int, float]] = {}
    for run in read_runs(folder, search):
        if run.objective is not None and math.isfinite(run.objective):
            by_trial.setdefault(run.trial_id, {})[run.seed] = run.objective
    default = {} if search.default_trial is None else by_trial.pop(search.default_trial.trial, {})
    better = search.settings.mode == "max"
    return [
        Confirmation(trial=trial.number, values=by_trial[trial.name], default_values=default, higher_is_better=better)
        for trial in search.trials
        if trial.name in by_trial
    ]
