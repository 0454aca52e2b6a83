"""A test of paired differences that may be looked at after every seed.

What: a confidence interval of the mean for each number of seeds, built so that all of them together miss the truth in
at most 5 % of all confirmations. So seeds may be added until zero lies outside, and whenever it ends the last interval
holds. The intervals are Student's, at the level `level(n)` instead of 5 %.
Source: alpha spending, Lan and DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 70, 1983,
https://doi.org/10.1093/biomet/70.3.659, applied to the levels of the t statistic. The t statistic of normal
differences has one law, so the total is a number: 4.0 % over 3 to 10 seeds, 4.9 % over 3 to 100. The best of three
configurations, chosen by the same trainings, stays below 5 % too; more of them share the level of three.
Cost: at exactly three seeds an interval is 1.6 times as wide as Student's. Off: no; a fixed number of seeds that may
be followed by more needs the same intervals.
Where it fails: differences with lighter tails than the normal, such as uniform ones (8 %). Heavy tails make it
cautious.
"""

import math
import statistics
from collections.abc import Sequence

from scipy.special import stdtrit

from tuner.records.confirm_seeds import MOST_SEEDS

ERROR = 0.05
"""Largest share of confirmations without a true difference that ever claim one."""
LEAST_SEEDS = 3
"""Least seeds for a claim."""
_FIRST_LEVEL, _LEVEL, _SLOWER_AFTER = 0.02, 0.007, 10
_CANDIDATES = 3
"""With this many, choosing the best by the same trainings claims a false difference in 4.7 % (values of both splits
fully correlated, 3 to 30 seeds); with ten in 7.5 %."""


def level(num_seeds: int, num_candidates: int = 1) -> float:
    """Two-sided level of the interval after this many seeds, three or more.

    Args:
        num_candidates: beside the default, of which these seeds chose one.
    """
    share = min(1.0, _CANDIDATES / num_candidates)
    if num_seeds == LEAST_SEEDS:
        return share * _FIRST_LEVEL
    return share * _LEVEL * min(1.0, (_SLOWER_AFTER / num_seeds) ** 2)


def interval(values: Sequence[float], num_candidates: int = 1) -> tuple[float, float] | None:
    """Interval of the mean, valid after any number of further looks; None for fewer than three values."""
    if len(values) < LEAST_SEEDS:
        return None
    half = _half_width(statistics.stdev(values), len(values), num_candidates)
    return statistics.fmean(values) - half, statistics.fmean(values) + half


def seeds_to_decide(values: Sequence[float], num_candidates: int = 1) -> int | None:
    """Number of further seeds that would exclude zero at this mean and spread; None below two or over 100 seeds.

    0 if zero is excluded already.
    """
    if len(values) < 2:
        return None
    mean, spread = abs(statistics.fmean(values)), statistics.stdev(values)
    numbers = range(max(LEAST_SEEDS, len(values)), MOST_SEEDS + 1)
    return next(
        (number - len(values) for number in numbers if mean > _half_width(spread, number, num_candidates)), None
    )


def _half_width(spread: float, num_seeds: int, num_candidates: int) -> float:
    quantile = float(stdtrit(num_seeds - 1, 1 - level(num_seeds, num_candidates) / 2))
    return quantile * spread / math.sqrt(num_seeds)
