"""Whether a search has learned anything: its values beside those of predictions that need no training.

On several seeds the 95 % interval of the mean must lie above the trivial prediction, by the paired comparison's own
rule; on one seed, the value alone. A value must exceed a random answer by more than luck: 3 standard deviations of that
answer on the validation split, where the best of many was chosen, 2 on the test split. A trial is below the linear
probe if its mean is worse.
"""

import statistics
from collections.abc import Mapping, Sequence

from tuner import formatting
from tuner.records import SearchRecord, TrialRecord
from tuner.records.trivial import ProbeScore, Split, TrivialScore
from tuner.results.advice import advice_for
from tuner.results.baselines import tested_values
from tuner.selection import sequential
from tuner.selection.comparison import Confirmation
from tuner.selection.in_search import exported_result

LUCK: dict[Split, float] = {"validation": 3.0, "test": 2.0}
"""Standard deviations of a random answer that count as luck."""
FIRST_LOOK = 3
"""Trials at the first rung, before a running search says that none has learned anything."""


def warning_of_nothing_learned(
    search: SearchRecord,
    exported: TrialRecord | None,
    confirmations: Sequence[Confirmation],
    scores: Mapping[Split, TrivialScore],
    probe: Mapping[Split, ProbeScore] | None = None,
) -> str | None:
    """The headline of a search whose exported trial is not clearly above the trivial prediction, or below the probe.

    None where it is better than both, and where nothing was measured.
    """
    if exported is None or exported.last is None:
        return None
    tested = tested_values(search, exported, confirmations)
    on_validation = [exported_result(search, exported).objective]
    by_split: tuple[tuple[Split, list[float]], ...] = (("test", tested), ("validation", on_validation))
    for split, values in by_split:
        trivial, probed = scores.get(split), (probe or {}).get(split)
        if values and (trivial or probed):
            return _verdict(search, exported, split, values, trivial, probed)
    return None


def warning_at_first_rung(search: SearchRecord, score: TrivialScore) -> str | None:
    """Warns that no trial at the first rung is above the trivial prediction; None before enough trials are there."""
    settings = search.settings
    rung = settings.rung_epochs[0] if settings.rung_epochs else settings.max_epochs
    there = [trial for trial in search.trials if trial.objective_at(rung) is not None]
    best = max(there, key=lambda trial: settings.sign * trial.measured(rung).objective, default=None)
    if best is None or len(there) < FIRST_LOOK:
        return None
    reached = best.measured(rung).objective
    if settings.sign * (reached - score.objective) > 0:
        return None
    return (
        f"After epoch {rung} none of {formatting.count(len(there), 'trial')} has learned anything: the best scores "
        f"{formatting.number(reached)}; predicting {score.name} for every image scores "
        f"{formatting.number(score.objective)}. "
        f"{advice_for(search, best, facts=score.facts)}"
    )


def _verdict(
    search: SearchRecord,
    trial: TrialRecord,
    split: Split,
    values: Sequence[float],
    trivial: TrivialScore | None,
    probe: ProbeScore | None,
) -> str | None:
    sign, mean = search.settings.sign, statistics.fmean(values)
    where = f"on the {split} split" + (f", {formatting.count(len(values), 'seed')}" if split == "test" else "")
    is_below_probe = probe is not None and sign * (mean - probe.objective) < 0
    facts = {} if trivial is None else trivial.facts
    advice = advice_for(search, trial, facts=facts, is_below_probe=is_below_probe)
    reached = f"trial {trial.name} scores {formatting.number(mean)}"
    beside = "" if probe is None else f"; {probe.name} scores {formatting.number(probe.objective)}"
    if trivial is not None and not _clearly_above(values, trivial, sign=sign, luck=LUCK[split]):
        chance = f" ± {formatting.number(trivial.spread)}" if trivial.spread else ""
        return (
            f"It is not certain that anything was learned: {reached}; predicting {trivial.name} for every image scores "
            f"{formatting.number(trivial.objective)}{chance}{beside} ({where}). {advice}"
        )
    if is_below_probe:
        return f"The training is worse than a linear layer on frozen features: {reached}{beside} ({where}). {advice}"
    return None


def _clearly_above(values: Sequence[float], trivial: TrivialScore, *, sign: float, luck: float) -> bool:
    gains = [sign * (value - trivial.objective) for value in values]
    if statistics.fmean(gains) <= luck * trivial.spread:
        return False
    interval = sequential.interval(gains)
    return interval is None or interval[0] > 0
