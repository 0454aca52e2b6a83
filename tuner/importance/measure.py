"""Which parameters separate good from poor trials, compared with chance.

What: each parameter's share in separating the best quarter of the trials from all of them, measured at the first rung,
before any trial is stopped. A trial that counts as bad (`Outcome.counts_as_bad`) has the worst value. Chance: the same
shares after repeatedly shuffling the values among the trials.
Source: PED-ANOVA, in ped_anova.py.
Cost: 0.2 s for 300 trials of 25 parameters, 1 s for 3000.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tuner.importance.ped_anova import importance_of
from tuner.records import SearchRecord, TrialRecord

BEST_SHARE = 0.25
MIN_TRIALS = 20
"""Puts five in the best quarter; with fewer, the shares are mostly chance."""
SHUFFLES = 60
LOG_RATIO = 10
"""Values that span a smaller ratio are always on a linear scale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """Shares by parameter, the largest first; they add up to 1."""

    shares: dict[str, float]
    chance: dict[str, float]
    """The 95 % quantile of the shares of shuffled values, on the same scale."""
    epoch: int
    num_trials: int
    num_ended_before: int
    """Number of trials that count as the worst (`Outcome.counts_as_bad`)."""

    @property
    def beyond_chance(self) -> list[str]:
        return [name for name, share in self.shares.items() if share > self.chance[name]]


def measure_importance(search: SearchRecord) -> Importance | None:
    """Measures the importance of the parameters; None with too few trials or if no parameter varied."""
    epoch, measured, ended = usable_trials(search)
    trials = measured + ended
    distributions = distributions_of(trials)
    if len(trials) < MIN_TRIALS or len(measured) < BEST_SHARE * len(trials) or not distributions:
        return None
    values = search.settings.sign * np.array([trial.objective_at(epoch) for trial in measured])
    # Trials that ended before rank below the worst measured one.
    goodness = np.concatenate([values, np.full(len(ended), values.min() - 1.0)])
    shares, chance = _shares_and_chance(trials, goodness, distributions)
    return Importance(
        shares=dict(sorted(shares.items(), key=lambda item: -item[1])),
        chance=chance,
        epoch=epoch,
        num_trials=len(trials),
        num_ended_before=len(ended),
    )


def usable_trials(search: SearchRecord) -> tuple[int, list[TrialRecord], list[TrialRecord]]:
    """Returns the first rung (the epoch of the earliest decision, before any trial is stopped), the trials measured
    there, and those that count as bad."""
    rungs = [decided.decision.epoch for decided in search.decisions if decided.decision.rung is not None]
    epoch = min(rungs, default=search.comparison_epoch or 1)
    ended = [trial for trial in search.trials if trial.outcome is not None and trial.outcome.counts_as_bad]
    return epoch, search.measured_at(epoch), ended


def distributions_of(trials: Sequence[TrialRecord]) -> dict[str, BaseDistribution]:
    """The tried ranges by parameter, without parameters that never varied."""
    tried: dict[str, list] = {}
    for trial in trials:
        for name, value in trial.params.items():
            tried.setdefault(name, []).append(_plain(value))
    distributions: dict[str, BaseDistribution] = {}
    for name, values in tried.items():
        distinct = {repr(value): value for value in values}
        kinds = set(map(type, values))
        # 0 and 0.0 are one number, as JSON writes either.
        if len(distinct) == 1 or (kinds <= {int, float} and min(values) == max(values)):
            continue
        if kinds == {int}:
            distributions[name] = IntDistribution(min(values), max(values), log=is_logarithmic(values))
        elif kinds <= {int, float}:
            distributions[name] = FloatDistribution(min(values), max(values), log=is_logarithmic(values))
        else:
            distributions[name] = CategoricalDistribution(list(distinct.values()))
    return distributions


def _plain(value: Any) -> Any:
    """Optuna sorts trials by their choices, so a list, such as the weights of two losses, becomes text."""
    return str(value) if isinstance(value, list) else value


def is_logarithmic(values: Sequence[float]) -> bool:
    """Whether numbers suit a logarithmic scale: half of them are in the lowest quarter of their range."""
    low, high = min(values), max(values)
    return low > 0 and high / low > LOG_RATIO and (float(np.median(values)) - low) / (high - low) < 0.25


def _shares_and_chance(
    trials: Sequence[TrialRecord], goodness: np.ndarray, distributions: Mapping[str, BaseDistribution]
) -> tuple[dict[str, float], dict[str, float]]:
    generator = np.random.default_rng(0)
    rankings = np.stack([goodness, *(generator.permutation(goodness) for _ in range(SHUFFLES))])
    # Ties with the last of the best are among them.
    is_best = rankings >= np.sort(goodness)[-math.ceil(BEST_SHARE * len(trials))]
    params = [{name: _plain(value) for name, value in trial.params.items()} for trial in trials]
    raw = {name: importance_of(name, params, one, is_best) for name, one in distributions.items()}
    total = sum(float(of_rankings[0]) for of_rankings in raw.values()) or 1.0
    shares = {name: float(of_rankings[0]) / total for name, of_rankings in raw.items()}
    chance = {name: float(np.quantile(of_rankings[1:], 0.95)) / total for name, of_rankings in raw.items()}
    return shares, chance
